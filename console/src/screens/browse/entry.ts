import type { Entry, EntryKind } from "../../api/types";
import type { Place } from "./place";

const LATEST_MS = 8.64e15;

/** When it was changed; none for directories that only the snapshot made, and beyond any calendar. */
export function changedOf({ mtime }: Entry): Date | undefined {
  const ms = mtime.seconds * 1000 + Math.floor(mtime.nanoseconds / 1e6);
  return ms === 0 || Math.abs(ms) > LATEST_MS ? undefined : new Date(ms);
}

const CONTENT: EntryKind[] = ["file", "image", "stream"];
export const hasContent = ({ kind }: Entry): boolean => CONTENT.includes(kind);

const DISK = /\.(img|raw|qcow2|vmdk|vdi|vhdx?)$/i;

/** Whether files may lie inside: an image of a disk, or what is called like one. */
export const mayBeDisk = (entry: Entry): boolean =>
  entry.kind === "image" || (entry.kind === "file" && DISK.test(entry.path));

/** The entry as a place beside the one where it is shown. */
export function placeAt(entry: Entry, { disk, partition }: Place): Place {
  return {
    path: entry.path,
    ...(entry.path_hex && { hex: entry.path_hex }),
    ...(disk && { disk, partition }),
  };
}

/** Why it cannot be restored by itself, as far as is known before it is tried. */
export type Unfit = "disk" | "name";

export function unfitOf(place: Place): Unfit | undefined {
  if (place.disk) return "disk";
  return place.hex ? "name" : undefined;
}
