import type { StorageState } from "../../api/types";

/** Each is checked once a day; so much later a check was missed. */
const MISSED_MS = 26 * 3_600_000;

/** Since when nobody knows how full a storage is; nothing if that is known. */
export function unknownSince({ checked, usage }: StorageState, now: Date): Date | undefined {
  const at = new Date(checked);
  return !usage || now.getTime() - at.getTime() > MISSED_MS ? at : undefined;
}
