import type { en } from "./en";
import { type Language, wantedLanguage } from "./language";

/**
 * All that the console says. English is the type of the catalogue; a language that lacks one of its words
 * does not compile. Sentences with a number or name in them are functions.
 */
export type Words = typeof en;

const CATALOGUE: Record<Language, () => Promise<Words>> = {
  en: async () => (await import("./en")).en,
  de: async () => (await import("./de")).de,
};

/** The words are on their way before anything is drawn with them. */
export const fetchWords = (language = wantedLanguage()) => CATALOGUE[language]();
