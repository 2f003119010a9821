import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { reading } from "../../../api/objects";
import { Problem } from "../../../api/problem";
import type { ProfileSpec } from "../../../api/types";
import { Loading } from "../../../parts/loading/Loading";
import { Notice } from "../../../parts/notice/Notice";
import { useTold } from "../../../parts/notice/told";
import { Panel } from "../../../parts/panel/Panel";
import { When } from "../../../parts/when/When";
import { useWords } from "../../../words";
import style from "../Schedules.module.css";

/** What is written, read back by the server in words, with the next runs of each period. */
export function Reading({ spec }: { spec: ProfileSpec }) {
  const { schedules: words, times } = useWords();
  const saidOf = ({ periods }: ProfileSpec, at: number) => {
    const own = periods[at];
    const said = own && times.says(own.frequency);
    return said && `${said}, ${own.time_zone ?? "UTC"}`;
  };
  const told = useTold();
  const query = useQuery({ ...reading(spec), placeholderData: keepPreviousData });
  const { error } = query;
  return (
    <Panel title={words.reading}>
      <div aria-live="polite">
        {error ? (
          <Notice is="attention" title={told(error.message)}>
            {error instanceof Problem && error.cure ? told(error.cure) : undefined}
          </Notice>
        ) : (
          <Loading of={query}>
            {({ periods }) => (
              <ul className={style.readings}>
                {periods.map((period, at) => (
                  <li key={period.name}>
                    <h3>{period.name}</h3>
                    <p>{told(saidOf(spec, at) ?? period.words)}</p>
                    <p className={style.quiet}>{words.nextRuns}</p>
                    <ol className={style.next}>
                      {period.next.map((at) => (
                        <li key={at}>
                          <When at={at} />
                        </li>
                      ))}
                    </ol>
                    {period.next.length === 0 && <p>{words.noneNext}</p>}
                  </li>
                ))}
              </ul>
            )}
          </Loading>
        )}
      </div>
    </Panel>
  );
}
