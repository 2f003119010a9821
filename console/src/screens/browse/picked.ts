import { type At, fileAddress } from "../../api/file";
import type { Entry } from "../../api/types";
import { hasContent } from "./entry";
import { askedOf, lastOf, type Place } from "./place";

/** What an entry is known by in the address: its bytes, where its name is no text. */
export const keyOf = ({ path, path_hex }: Entry): string => path_hex ?? lastOf(path);

export function picksOf(value: unknown): string[] | undefined {
  const all = (Array.isArray(value) ? value : [value]).filter((each) => typeof each === "string");
  return all.length > 0 ? [...new Set(all)] : undefined;
}

/** Chosen, or not any more; none at all is not in the address. */
export function toggled(picks: string[] | undefined, key: string, is: boolean) {
  const others = (picks ?? []).filter((each) => each !== key);
  const all = is ? [...others, key] : others;
  return all.length > 0 ? all : undefined;
}

export interface File {
  name: string;
  address: string;
}

/** The chosen files among those that are listed, and where each is downloaded. */
export function filesOf(id: string, entries: Entry[], picks: string[], place: Place): File[] {
  return entries
    .filter((entry) => hasContent(entry) && picks.includes(keyOf(entry)))
    .map((entry) => {
      const { disk, partition } = place;
      const at: At = askedOf({
        path: entry.path,
        hex: entry.path_hex ?? undefined,
        disk,
        partition,
      });
      return { name: lastOf(entry.path), address: fileAddress(id, at, entry.is_lost) };
    });
}

/** Where the chosen files lie; none where one of them cannot be restored by itself. */
export function pathsOf(entries: Entry[], picks: string[], place: Place): string[] | undefined {
  const chosen = entries.filter((entry) => hasContent(entry) && picks.includes(keyOf(entry)));
  const isFit = !place.disk && chosen.every((entry) => !entry.path_hex && !entry.is_lost);
  return isFit && chosen.length > 0 ? chosen.map(({ path }) => path) : undefined;
}

/** Browsers drop what is begun at once. */
const APART_MS = 400;

/** One after the other: there is no file that holds them all. */
export async function download(files: File[]) {
  for (const { name, address } of files) {
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    link.click();
    await new Promise((done) => setTimeout(done, APART_MS));
  }
}
