/**
 * How the server says something, and how that is said in another language; `$1` is what was in its place,
 * `$:1` is said in that language too.
 */
export type Retelling = readonly [as: RegExp, words: string];

/**
 * The server speaks English. What it says often is known to the catalogue; whatever is not is shown as the
 * server says it.
 */
export function retold(known: readonly Retelling[], text: string): string {
  for (const [as, words] of known) {
    const found = as.exec(text);
    if (!found) continue;
    return words.replace(/\$(:?)(\d)/g, (_, again: string, n: string) => {
      const was = found[Number(n)] ?? "";
      return again ? retold(known, was) : was;
    });
  }
  return text;
}
