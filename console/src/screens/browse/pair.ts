import type { Snapshot } from "../../api/types";

/** Only what lies in one repository can be compared: that of a tenant in a storage. */
export const isBeside = (one: Snapshot, other: Snapshot): boolean =>
  one.id !== other.id && one.storage === other.storage && one.tenant === other.tenant;

/** What a snapshot is compared with unless one chose: the one before it, of the same scope if there is one. */
export function beforeOf(all: Snapshot[], one: Snapshot): Snapshot | undefined {
  const older = all
    .filter((each) => isBeside(one, each) && each.time < one.time)
    .sort((a, b) => b.time.localeCompare(a.time));
  return older.find(({ scope }) => scope === one.scope) ?? older[0];
}
