import { Flow, type Line, YamlError } from "./flow";

/**
 * Reads as much YAML as descriptions of resources are written in: maps and lists, in lines or in brackets,
 * quoted text, comments. Anchors, tags and text over several lines are refused, never guessed at.
 */
export function readYaml(text: string): unknown {
  const lines = text.split("\n").flatMap((raw, index) => lineOf(raw, index + 1));
  const reader = new Reader(lines);
  const value = reader.block(0);
  reader.mustBeOver();
  return value;
}

function lineOf(raw: string, n: number): Line[] {
  const text = raw.replace(/\r$/, "").replace(/(^|\s)#(?=(?:[^"']|"[^"]*"|'[^']*')*$).*$/, "$1");
  if (text.trim() === "" || text.trim() === "---") return [];
  if (/^\s*\t/.test(text)) throw new YamlError(n);
  return [{ indent: text.length - text.trimStart().length, text: text.trim(), n }];
}

const KEY =
  /^("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'[\]{},&*!|>%@`#-][^:]*?|-[^\s:][^:]*?)\s*:(?:\s+(.*))?$/;

class Reader {
  #at = 0;
  readonly #lines: Line[];

  constructor(lines: Line[]) {
    this.#lines = lines;
  }

  mustBeOver() {
    const left = this.#lines[this.#at];
    if (left) throw new YamlError(left.n);
  }

  block(least: number): unknown {
    const line = this.#lines[this.#at];
    if (!line || line.indent < least) return null;
    if (isItem(line)) return this.#list(line.indent);
    if (KEY.test(line.text)) return this.#map(line.indent);
    this.#at += 1;
    return new Flow(line).all();
  }

  #list(indent: number): unknown[] {
    const items: unknown[] = [];
    for (;;) {
      const line = this.#lines[this.#at];
      if (!line || line.indent !== indent || !isItem(line)) return items;
      const rest = line.text.slice(1).trimStart();
      if (rest === "") {
        this.#at += 1;
        items.push(this.block(indent + 1));
        continue;
      }
      const inner = { ...line, indent: indent + line.text.length - rest.length, text: rest };
      this.#lines[this.#at] = inner;
      items.push(this.block(inner.indent));
    }
  }

  #map(indent: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (;;) {
      const line = this.#lines[this.#at];
      if (!line || line.indent !== indent || isItem(line)) return map;
      const found = KEY.exec(line.text);
      if (!found?.[1]) throw new YamlError(line.n);
      const key = String(new Flow({ ...line, text: found[1] }).all());
      if (Object.hasOwn(map, key)) throw new YamlError(line.n);
      this.#at += 1;
      map[key] = found[2] ? new Flow({ ...line, text: found[2] }).all() : this.#below(indent);
    }
  }

  /** What belongs to a key without a value: further in, or a list that begins right below it. */
  #below(indent: number): unknown {
    const next = this.#lines[this.#at];
    return this.block(next && next.indent === indent && isItem(next) ? indent : indent + 1);
  }
}

const isItem = ({ text }: Line): boolean => text === "-" || text.startsWith("- ");
