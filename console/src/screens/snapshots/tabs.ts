import type { Snapshot, SnapshotScope } from "../../api/types";

export const TABS = ["all", "full", "partial", "tenant", "uploaded"] as const;
export type Tab = (typeof TABS)[number];

export const tabOf = (value: unknown): Tab | undefined => TABS.find((tab) => tab === value);

/** What the server is asked for; uploaded ones have every scope. */
export function scopeOf(tab: Tab): SnapshotScope | undefined {
  return tab === "uploaded" || tab === "all" ? undefined : tab;
}

export function isIn(tab: Tab, snapshot: Snapshot): boolean {
  if (tab === "all") return true;
  if (tab === "uploaded") return snapshot.trigger === "upload";
  return snapshot.scope === tab;
}
