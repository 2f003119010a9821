/** How the server says something, and how that is said in another language; `$1` is what was in its place. */
export type Retelling = readonly [as: RegExp, words: string];

/**
 * The server speaks English. What it says often is known to the catalogue; whatever is not is shown as the
 * server says it.
 */
export function retold(known: readonly Retelling[], text: string): string {
  for (const [as, words] of known) {
    if (as.test(text)) return text.replace(as, words);
  }
  return text;
}
