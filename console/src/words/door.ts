import { door } from "./en/door";
import type { Language } from "./language";

/** Those outside hear little: nothing that stands there knows more words than these. */
export type DoorWords = typeof door;

export const doorWords = async (language: Language): Promise<DoorWords> =>
  language === "de" ? (await import("./de/door")).door : door;
