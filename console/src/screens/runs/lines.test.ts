import { expect, test } from "vitest";
import type { LogLine } from "../../api/types";
import { withLine } from "./lines";

const line = (n: number): LogLine => ({
  n,
  level: "info",
  text: `line ${n}`,
  time: "2026-11-22T12:00:00Z",
});
const numbers = (lines: LogLine[]) => lines.map(({ n }) => n);

test("each line stands once, in its order, however it came", () => {
  let lines: LogLine[] = [];
  for (const n of [1, 2, 2, 4, 3, 1, 5]) lines = withLine(lines, line(n));
  expect(numbers(lines)).toEqual([1, 2, 3, 4, 5]);
});
