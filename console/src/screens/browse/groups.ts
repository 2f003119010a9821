import type { Change, Difference } from "../../api/types";
import { splitHex } from "./place";

/** What differs directly in a directory: an entry itself, or what lies below it. */
export interface Group {
  name: string;
  path: string;
  hex?: string;
  /** How it differs itself. */
  own?: Difference;
  counts: Record<Change, number>;
  below: number;
}

const NONE: Record<Change, number> = { added: 0, removed: 0, content: 0, metadata: 0, type: 0 };

export function groupsOf(differences: Difference[], path = ""): Group[] {
  const depth = path.split("/").filter(Boolean).length;
  const groups = new Map<string, Group>();
  for (const difference of differences) {
    const names = difference.path.split("/").filter(Boolean);
    const name = names[depth];
    if (name === undefined) continue;
    const isItself = names.length === depth + 1;
    const at = names.slice(0, depth + 1).join("/");
    const bytes = difference.path_hex ? splitHex(difference.path_hex) : undefined;
    const hex = bytes && name.includes("\uFFFD") ? bytes.slice(0, depth + 1).join("2f") : undefined;
    const key = hex ?? at;
    const group = groups.get(key) ?? { name, path: at, hex, counts: { ...NONE }, below: 0 };
    if (isItself) group.own = difference;
    else group.below++;
    group.counts[difference.change]++;
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** The difference of a file that was looked for itself. */
export const itself = (differences: Difference[], path: string): Difference | undefined =>
  differences.find((each) => each.path === path && !isDirectory(each));

const isDirectory = (each: Difference): boolean =>
  (each.new?.kind ?? each.old?.kind) === "directory";
