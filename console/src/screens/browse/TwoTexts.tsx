import { useMemo } from "react";
import { classes } from "../../parts/classes";
import { Scroll } from "../../parts/scroll/Scroll";
import { useFormat, useWords } from "../../words";
import style from "./Browse.module.css";
import { compare, folded, type Line, type Row } from "./lines";

export function TwoTexts({ one, other }: { one: string; other: string }) {
  const { browse: words } = useWords();
  const format = useFormat();
  const rows = useMemo(() => folded(compare(one, other)), [one, other]);
  return (
    <Scroll>
      <table className={style.diff}>
        <thead>
          <tr>
            <th scope="col" className={style.number}>
              <span className="unseen">{words.line}</span>
            </th>
            <th scope="col">{words.older}</th>
            <th scope="col" className={style.number}>
              <span className="unseen">{words.line}</span>
            </th>
            <th scope="col">{words.newer}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) =>
            typeof row === "number" ? (
              <tr key={`after ${keyOf(rows[at - 1])}`} className={style.gap}>
                <td colSpan={4}>{words.sameLines(format.number(row))}</td>
              </tr>
            ) : (
              <Pair key={keyOf(row)} row={row} />
            ),
          )}
        </tbody>
      </table>
    </Scroll>
  );
}

/** Lines have numbers, of which each row has one at least. */
const keyOf = (row: Row | number | undefined): string =>
  typeof row === "object" ? `${row.old?.n}:${row.new?.n}` : "";

function Pair({ row }: { row: Row }) {
  return (
    <tr>
      <Half line={row.old} mark={!row.isSame && "old"} />
      <Half line={row.new} mark={!row.isSame && "new"} />
    </tr>
  );
}

function Half({ line, mark }: { line: Line | undefined; mark: "old" | "new" | false }) {
  const { browse: words } = useWords();
  if (!line) return <td colSpan={2} />;
  return (
    <>
      <td className={classes(style.number, mark && style[mark])}>{line.n}</td>
      <td className={classes(mark && style[mark])}>
        {mark && (
          <>
            <span aria-hidden="true">{mark === "old" ? "− " : "+ "}</span>
            <span className="unseen">
              {mark === "old" ? words.changes.removed : words.changes.added}:{" "}
            </span>
          </>
        )}
        {line.text}
      </td>
    </>
  );
}
