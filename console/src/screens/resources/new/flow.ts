/** A line that says something. */
export interface Line {
  indent: number;
  text: string;
  n: number;
}

export class YamlError extends Error {
  readonly line: number;

  constructor(line: number) {
    super(`line ${line}`);
    this.line = line;
  }
}

/** What stands in one line: text, numbers, brackets. */
export class Flow {
  #rest: string;
  readonly #n: number;

  constructor({ text, n }: Line) {
    this.#rest = text;
    this.#n = n;
  }

  all(): unknown {
    const value = this.#value(/^[^\s].*$/);
    if (this.#rest.trim() !== "") throw new YamlError(this.#n);
    return value;
  }

  #value(plain: RegExp): unknown {
    this.#rest = this.#rest.trimStart();
    if (this.#take("[")) return this.#items();
    if (this.#take("{")) return this.#fields();
    const quoted = this.#match(/^"(?:[^"\\]|\\.)*"|^'(?:[^']|'')*'/);
    if (quoted?.startsWith('"')) return JSON.parse(quoted) as unknown;
    if (quoted) return quoted.slice(1, -1).replaceAll("''", "'");
    if (/^[&*!|>%@`]/.test(this.#rest)) throw new YamlError(this.#n);
    const text = this.#match(plain)?.trim();
    if (!text) throw new YamlError(this.#n);
    return scalar(text);
  }

  #items(): unknown[] {
    const items: unknown[] = [];
    while (!this.#take("]")) {
      items.push(this.#value(/^[^,\]]+/));
      if (!this.#take(",") && !this.#rest.trimStart().startsWith("]")) throw new YamlError(this.#n);
    }
    return items;
  }

  #fields(): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    while (!this.#take("}")) {
      const key = String(this.#value(/^[^:,}]+/));
      if (!this.#take(":")) throw new YamlError(this.#n);
      map[key] = this.#value(/^[^,}]+/);
      if (!this.#take(",") && !this.#rest.trimStart().startsWith("}")) throw new YamlError(this.#n);
    }
    return map;
  }

  #take(mark: string): boolean {
    const rest = this.#rest.trimStart();
    if (!rest.startsWith(mark)) return false;
    this.#rest = rest.slice(mark.length);
    return true;
  }

  #match(what: RegExp): string | undefined {
    const found = what.exec(this.#rest)?.[0];
    if (found !== undefined) this.#rest = this.#rest.slice(found.length);
    return found;
  }
}

function scalar(text: string): unknown {
  if (/^(true|false)$/.test(text)) return text === "true";
  if (/^(null|~)$/.test(text)) return null;
  return /^-?(0|[1-9]\d*)(\.\d+)?$/.test(text) ? Number(text) : text;
}
