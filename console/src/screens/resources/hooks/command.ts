/** A command as one line: what stands between quotes is one argument. No shell reads it. */
export function argumentsOf(line: string): string[] {
  const found = line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g);
  return [...found].map(
    ([, double, single, plain]) => double?.replace(/\\(["\\])/g, "$1") ?? single ?? plain ?? "",
  );
}

export const lineOf = (command: string[]): string =>
  command
    .map((part) =>
      part === "" || /[\s"']/.test(part) ? `"${part.replace(/["\\]/g, "\\$&")}"` : part,
    )
    .join(" ");
