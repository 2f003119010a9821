import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { runLog } from "../../api/queries";
import type { LogLine } from "../../api/types";
import { Button } from "../../parts/button/Button";
import { classes } from "../../parts/classes";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { useFormat, useWords } from "../../words";
import style from "./Log.module.css";

/** So many lines stand in the document unless one asks for all. */
const SHOWN = 1000;

export function Log({ id }: { id: string }) {
  const { runs: words } = useWords();
  const query = useQuery(runLog(id));
  return (
    <Loading of={query}>
      {(lines) => (lines.length === 0 ? <Empty title={words.noLog} /> : <Lines lines={lines} />)}
    </Loading>
  );
}

/** How it ended stands at the end: of a long one the beginning is left out first. */
function Lines({ lines }: { lines: LogLine[] }) {
  const { runs: words } = useWords();
  const format = useFormat();
  const [isAll, setAll] = useState(false);
  const left = isAll ? 0 : Math.max(lines.length - SHOWN, 0);
  return (
    <>
      {left > 0 && (
        <div className={style.left}>
          {words.linesLeft(format.number(left))}{" "}
          <Button onClick={() => setAll(true)}>{words.allLines}</Button>
        </div>
      )}
      <ol className={style.log} aria-label={words.log}>
        {lines.slice(left).map((line) => (
          <li key={line.n} className={classes(style.line, style[line.level])}>
            <time dateTime={line.time}>{format.moment(new Date(line.time))}</time>
            <span className={style.level}>{words.levels[line.level]}</span>
            <span className={style.text} lang="en">
              {line.text}
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}
