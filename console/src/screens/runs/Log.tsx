import { useQuery } from "@tanstack/react-query";
import { runLog } from "../../api/queries";
import { classes } from "../../parts/classes";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { useFormat, useWords } from "../../words";
import style from "./Log.module.css";

export function Log({ id }: { id: string }) {
  const { runs: words } = useWords();
  const format = useFormat();
  const query = useQuery(runLog(id));
  return (
    <Loading of={query}>
      {(lines) =>
        lines.length === 0 ? (
          <Empty title={words.noLog} />
        ) : (
          <ol className={style.log} aria-label={words.log}>
            {lines.map((line) => (
              <li key={line.n} className={classes(style.line, style[line.level])}>
                <time dateTime={line.time}>{format.moment(new Date(line.time))}</time>
                <span className={style.level}>{words.levels[line.level]}</span>
                <span className={style.text}>{line.text}</span>
              </li>
            ))}
          </ol>
        )
      }
    </Loading>
  );
}
