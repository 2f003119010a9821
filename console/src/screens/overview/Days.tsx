import { useQuery } from "@tanstack/react-query";
import { days } from "../../api/queries";
import type { Day } from "../../api/types";
import { Loading } from "../../parts/loading/Loading";
import { Panel } from "../../parts/panel/Panel";
import { ownZone } from "../../parts/period/zone";
import { Shape, type Standing } from "../../parts/state/State";
import { useFormat, useWords } from "../../words";
import { DAYS } from "./asks";
import style from "./Overview.module.css";

/** What was taken, a day a cell. */
export function Days() {
  const { overview: words } = useWords();
  const zone = ownZone();
  const query = useQuery(days(zone, DAYS));
  return (
    <Panel title={words.days} beside={zone}>
      <Loading of={query} lines={2}>
        {(told) => (
          <ol className={style.days}>
            {told.days.map((day) => (
              <One key={day.date} day={day} />
            ))}
          </ol>
        )}
      </Loading>
    </Panel>
  );
}

function One({ day }: { day: Day }) {
  const { overview: words } = useWords();
  const format = useFormat();
  const begin = new Date(day.begin);
  const failed = Object.values(day.failed).reduce((sum, count) => sum + count, 0);
  const isEmpty = day.complete + day.incomplete + failed === 0;
  const name = format.day(begin);
  const told = isEmpty
    ? words.dayNothing(name)
    : words.day(name, day.complete, day.incomplete, failed);
  return (
    <li className={style.day} title={told}>
      <span className={style.date} aria-hidden="true">
        {format.shortDay(begin)}
      </span>
      <span aria-hidden="true" className={style.count}>
        <Shape is={standingOf(day, failed)} /> {isEmpty ? "–" : day.complete + day.incomplete}
      </span>
      <span className="unseen">{told}</span>
    </li>
  );
}

function standingOf(day: Day, failed: number): Standing {
  if (failed > 0) return "failed";
  if (day.incomplete > 0) return "attention";
  return day.complete > 0 ? "good" : "none";
}
