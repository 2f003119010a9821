import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import { fetchWords, type Words } from "./catalogue";
import { type Format, formatOf } from "./format";
import { keepLanguage, type Language, wantedLanguage } from "./language";

export type { Words } from "./catalogue";
export { LANGUAGES, type Language } from "./language";

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

interface SpokenProps {
  /** In the language that was wanted at the beginning. */
  begun: Words;
  children: ReactNode;
}

export function Spoken({ begun, children }: SpokenProps) {
  const [language, setLanguage] = useState(wantedLanguage);
  const [words, setWords] = useState(begun);
  useEffect(() => {
    let isCurrent = true;
    fetchWords(language).then((loaded) => isCurrent && setWords(() => loaded));
    document.documentElement.lang = language;
    return () => {
      isCurrent = false;
    };
  }, [language]);
  const choose = (next: Language) => {
    keepLanguage(next);
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
