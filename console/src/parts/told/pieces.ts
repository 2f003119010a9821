export interface Piece {
  text: string;
  /** It stands between backticks: a command, a field, a value. */
  isCode: boolean;
}

/** What the server said, with what is typed or written literally told apart. */
export function piecesOf(text: string): Piece[] {
  const parts = text.split("`");
  if (parts.length % 2 === 0) return [{ text, isCode: false }];
  return parts
    .map((part, at) => ({ text: part, isCode: at % 2 === 1 }))
    .filter((piece) => piece.text !== "");
}

/** What of it can be typed into a shell: a program, and what it is to do. */
export const commandsOf = (text: string): string[] => [
  ...new Set(
    piecesOf(text)
      .filter((piece) => piece.isCode && /^[a-z][\w-]* ./.test(piece.text))
      .map((piece) => piece.text),
  ),
];
