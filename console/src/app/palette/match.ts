/**
 * How well words fit to what is typed: each typed part must begin a word, or stand inside of one, in any
 * order. 0: not at all; beginnings count more than insides.
 */
export function match(typed: string, words: string): number {
  const parts = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const text = words.toLowerCase();
  let score = 1;
  for (const part of parts) {
    const at = text.indexOf(part);
    if (at < 0) return 0;
    const isBeginning = at === 0 || /[^\p{L}\p{N}]/u.test(text.charAt(at - 1));
    score += isBeginning ? 2 : 1;
  }
  return score;
}

/** The part of what is typed that says the most; the server looks for one. */
export const longest = (typed: string): string =>
  typed.split(/\s+/).reduce((most, part) => (part.length > most.length ? part : most), "");
