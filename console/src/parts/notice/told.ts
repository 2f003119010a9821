import { useWords } from "../../words";
import { retold } from "../../words/retold";

/** The server's words begin small and end without a point. */
export function sentence(words: string): string {
  const begun = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}

/** What the server said, as a sentence, in the language of whoever looks if that is known. */
export function useTold(): (text: string) => string {
  const { told } = useWords();
  return (text) => sentence(retold(told, text));
}

/** The same as a title: no point at its end, and its beginning as it is. */
export function useTitled(): (text: string) => string {
  const { told } = useWords();
  return (text) => retold(told, text);
}
