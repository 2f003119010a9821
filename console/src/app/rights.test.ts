import { expect, test } from "vitest";
import type { Role, Who } from "../api/types";
import { type May, may } from "./rights";

const who = (role: Role, tenant: string): Who => ({
  id: "u",
  name: "someone",
  role,
  tenant: "t",
  tenant_name: tenant,
  must_change_password: false,
});

test.each<[Role, string, May, boolean]>([
  ["administrator", "system", "system", true],
  ["administrator", "acme", "system", false],
  ["administrator", "acme", "change", true],
  ["operator", "acme", "snapshot", true],
  ["operator", "acme", "restore", false],
  ["restorer", "acme", "restore", true],
  ["auditor", "system", "audit", true],
  ["viewer", "system", "change", false],
])("%s of %s may %s: %s", (role, tenant, what, is) => {
  expect(may(who(role, tenant), what)).toBe(is);
});
