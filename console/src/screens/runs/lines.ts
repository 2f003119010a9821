import type { LogLine } from "../../api/types";

/** Lines in their order, each once, however they came. */
export function withLine(lines: LogLine[], line: LogLine): LogLine[] {
  const last = lines.at(-1);
  if (!last || last.n < line.n) return [...lines, line];
  return lines.some(({ n }) => n === line.n) ? lines : [...lines, line].sort((a, b) => a.n - b.n);
}
