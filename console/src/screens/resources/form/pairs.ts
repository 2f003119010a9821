/** Fields of `at`, as they are written into two columns. */
export interface Pair {
  key: string;
  value: string;
}

export function pairsOf(at: object | null | undefined): Pair[] {
  return Object.entries(at ?? {}).map(([key, value]) => ({ key, value: written(value) }));
}

/** What is no text, and text that looks as if it were none, is written as JSON. */
function written(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  return typeof read(value) === "string" ? value : JSON.stringify(value);
}

export function fieldsOf(pairs: Pair[]): Record<string, unknown> {
  const named = pairs.filter(({ key }) => key.trim() !== "");
  return Object.fromEntries(named.map(({ key, value }) => [key.trim(), read(value)]));
}

/** `true`, `12`, `["a"]` are what they look like; all else is text. */
function read(value: string): unknown {
  const text = value.trim();
  if (!/^(true|false|-?\d+(\.\d+)?|\[.*\]|\{.*\}|".*")$/s.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export const linesOf = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
