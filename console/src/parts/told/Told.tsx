import { sentence } from "../../words/sentence";
import { piecesOf } from "./pieces";
import { useIsForeign, useTitled } from "./said";

interface Props {
  of: string;
  /** No sentence: its beginning as it is, and no point at its end. */
  isTitle?: boolean;
}

/**
 * What the server said, in the language of whoever looks if that is known. Otherwise it stays English, and
 * says so to those who listen.
 */
export function Told({ of, isTitle }: Props) {
  const titled = useTitled();
  const isForeign = useIsForeign(of);
  const text = titled(of);
  const said = piecesOf(isTitle ? text : sentence(text)).map((piece, at) =>
    // biome-ignore lint/suspicious/noArrayIndexKey: pieces of a sentence have their order, and nothing else
    piece.isCode ? <code key={at}>{piece.text}</code> : piece.text,
  );
  return isForeign ? <span lang="en">{said}</span> : said;
}
