import type { Who } from "../api/types";

/** What screens and their actions need. The server decides; this only leaves out what it would refuse. */
export type May = "see" | "snapshot" | "restore" | "change" | "users" | "audit" | "system";

/** The tenant that sees all. */
export const SYSTEM = "system";

/** As the operations of the API name it (`x-tintype-action`). */
const ACTIONS: Record<May, string> = {
  see: "see",
  snapshot: "snapshot-partial",
  restore: "restore",
  change: "change",
  users: "users",
  audit: "audit",
  system: "system",
};

export const may = (who: Who, what: May): boolean => (who.actions ?? []).includes(ACTIONS[what]);
