import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import type { en } from "./en";
import { door } from "./en/door";
import { type Format, formatOf } from "./format";

/**
 * All that the console says. English is the type of the catalogue; a language that lacks one of its words
 * does not compile. Sentences with a number or name in them are functions.
 */
export type Words = typeof en;
export type Language = "en" | "de";
export const LANGUAGES: Record<Language, string> = { en: "English", de: "Deutsch" };

const KEY = "tintype.language";

function wanted(): Language {
  const chosen = localStorage.getItem(KEY) ?? navigator.language.slice(0, 2);
  return chosen === "de" ? "de" : "en";
}

interface Spoken {
  words: Words;
  format: Format;
  language: Language;
  choose: (language: Language) => void;
}

const Context = createContext<Spoken>({
  words: {} as Words,
  format: formatOf("en"),
  language: "en",
  choose: () => undefined,
});

type Catalogue = Record<Language, () => Promise<Words>>;

/** Those outside hear little: nothing that stands there knows more words than these. */
export const DOOR: Catalogue = {
  en: async () => door as Words,
  de: async () => (await import("./de/door")).door as Words,
};

export const WHOLE: Catalogue = {
  en: async () => (await import("./en")).en,
  de: async () => (await import("./de")).de,
};

/** The words are on their way before anything is drawn with them. */
export const fetchWords = (of: Catalogue) => of[wanted()]();

export function Spoken({ of, children }: { of: Catalogue; children: ReactNode }) {
  const [language, setLanguage] = useState(wanted);
  const [words, setWords] = useState<Words>();
  useEffect(() => {
    let isCurrent = true;
    of[language]().then((loaded) => isCurrent && setWords(() => loaded));
    document.documentElement.lang = language;
    return () => {
      isCurrent = false;
    };
  }, [language, of]);
  if (!words) return null;
  const choose = (next: Language) => {
    localStorage.setItem(KEY, next);
    setLanguage(next);
  };
  return (
    <Said words={words} language={language} choose={choose}>
      {children}
    </Said>
  );
}

interface SaidProps extends Omit<Spoken, "format"> {
  children: ReactNode;
}

export function Said({ words, language, choose, children }: SaidProps) {
  return (
    <Context value={{ words, format: formatOf(language), language, choose }}>{children}</Context>
  );
}

export const useWords = (): Words => useContext(Context).words;
export const useFormat = (): Format => useContext(Context).format;
export const useLanguage = () => useContext(Context);
