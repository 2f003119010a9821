import { expect, test } from "vitest";
import { compare, folded, type Row } from "./lines";

const told = (rows: Row[]) =>
  rows.map((row) => {
    if (row.isSame) return `= ${row.old?.text}`;
    return `- ${row.old?.text ?? ""} + ${row.new?.text ?? ""}`;
  });

test.each<[string, string, string, string[]]>([
  ["nothing", "", "", []],
  ["equal ones", "a\nb\n", "a\nb", ["= a", "= b"]],
  ["a changed line", "a\nb\nc", "a\nX\nc", ["= a", "- b + X", "= c"]],
  ["a new line", "a\nc", "a\nb\nc", ["= a", "-  + b", "= c"]],
  ["a line that is gone", "a\nb\nc", "a\nc", ["= a", "- b + ", "= c"]],
  ["a new text", "", "a\nb", ["-  + a", "-  + b"]],
  ["a line that moved", "a\nb\nc", "b\nc\na", ["- a + ", "= b", "= c", "-  + a"]],
  ["other ends of lines", "a\r\nb\r\n", "a\nb\n", ["= a", "= b"]],
  ["repeated lines", "a\na\nb", "a\nb\nb", ["= a", "- a + b", "= b"]],
])("%s", (_, one, other, rows) => {
  expect(told(compare(one, other))).toEqual(rows);
});

test("every line of both stands once, in its order", () => {
  const one = Array.from({ length: 60 }, (_, n) => `line ${n % 7}`).join("\n");
  const other = Array.from({ length: 50 }, (_, n) => `line ${(n * 3) % 8}`).join("\n");
  const rows = compare(one, other);
  expect(rows.flatMap((row) => row.old?.text ?? []).join("\n")).toBe(one);
  expect(rows.flatMap((row) => row.new?.text ?? []).join("\n")).toBe(other);
  expect(rows.every((row) => !row.isSame || row.old?.text === row.new?.text)).toBe(true);
});

test("texts that are too long to be looked into are still whole", () => {
  const long = (word: string) => Array.from({ length: 2100 }, (_, n) => `${word} ${n}`).join("\n");
  expect(compare(long("a"), long("b"))).toHaveLength(2100);
});

test("equal lines far from a difference are counted", () => {
  const text = Array.from({ length: 20 }, (_, n) => String(n));
  const changed = text.with(10, "X");
  const shown = folded(compare(text.join("\n"), changed.join("\n")));
  expect(shown.map((each) => (typeof each === "number" ? each : each.old?.text))).toEqual([
    7,
    "7",
    "8",
    "9",
    "10",
    "11",
    "12",
    "13",
    6,
  ]);
});
