import type { Role } from "../../api/types";

export const ROLES: readonly Role[] = [
  "viewer",
  "operator",
  "restorer",
  "administrator",
  "auditor",
];
