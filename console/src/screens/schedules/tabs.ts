import type { Profile } from "../../api/types";

/** Full and partial schedules are cared for apart: only full ones bring back everything. */
export const TABS = ["full", "partial"] as const;
export type Tab = (typeof TABS)[number];

export const tabOf = (value: unknown): Tab | undefined => TABS.find((tab) => tab === value);

/** Whatever names no resources stands with the full ones: also the manager's state alone. */
export const isIn = (tab: Tab, { spec }: Pick<Profile, "spec">): boolean =>
  (typeof spec.scope === "object") === (tab === "partial");
