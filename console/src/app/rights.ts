import type { Role, Who } from "../api/types";

/** What screens and their actions need. The server decides; this only leaves out what it would refuse. */
export type May = "see" | "snapshot" | "restore" | "change" | "users" | "audit" | "system";

const ALLOWED: Record<Role, May[]> = {
  viewer: ["see"],
  operator: ["see", "snapshot"],
  restorer: ["see", "restore"],
  auditor: ["see", "audit"],
  administrator: ["see", "snapshot", "restore", "change", "users", "audit", "system"],
};

export const SYSTEM = "system";

export function may(who: Who, what: May): boolean {
  if (what === "system" && who.tenant_name !== SYSTEM) return false;
  return ALLOWED[who.role].includes(what);
}
