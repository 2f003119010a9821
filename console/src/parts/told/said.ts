import { useLanguage, useWords } from "../../words";
import { retold } from "../../words/retold";

/** What the server said, as a title, in the language of whoever looks if that is known. */
export function useTitled(): (text: string) => string {
  const { told } = useWords();
  return (text) => retold(told, text);
}

/** Whether it stays English before somebody who has chosen another language. */
export function useIsForeign(text: string): boolean {
  const { told } = useWords();
  const { language } = useLanguage();
  return language !== "en" && retold(told, text) === text;
}
