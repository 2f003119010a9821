import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import { en } from "./en";
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
  words: en,
  format: formatOf("en"),
  language: "en",
  choose: () => undefined,
});

async function load(language: Language): Promise<Words> {
  return language === "de" ? (await import("./de")).de : en;
}

export function Spoken({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(wanted);
  const [words, setWords] = useState<Words | undefined>(language === "en" ? en : undefined);
  useEffect(() => {
    let isCurrent = true;
    load(language).then((loaded) => isCurrent && setWords(() => loaded));
    document.documentElement.lang = language;
    return () => {
      isCurrent = false;
    };
  }, [language]);
  if (!words) return null;
  const choose = (next: Language) => {
    localStorage.setItem(KEY, next);
    setLanguage(next);
  };
  return (
    <Context value={{ words, format: formatOf(language), language, choose }}>{children}</Context>
  );
}

export const useWords = (): Words => useContext(Context).words;
export const useFormat = (): Format => useContext(Context).format;
export const useLanguage = () => useContext(Context);
