import type { Change } from "../../api/types";
import { useWords } from "../../words";
import style from "./Change.module.css";

const SIGNS: Record<Change, string> = {
  added: "+",
  removed: "−",
  content: "≠",
  metadata: "~",
  type: "≠",
};

/** How something differs: a sign and a word. */
export function ChangeWord({ is }: { is: Change }) {
  const { browse: words } = useWords();
  return (
    <span className={style[is]}>
      <span aria-hidden="true" className={style.sign}>
        {SIGNS[is]}
      </span>
      {words.changes[is]}
    </span>
  );
}
