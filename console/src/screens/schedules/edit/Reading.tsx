import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { reading } from "../../../api/objects";
import { Problem } from "../../../api/problem";
import type { ProfileSpec } from "../../../api/types";
import { Loading } from "../../../parts/loading/Loading";
import { Notice } from "../../../parts/notice/Notice";
import { Panel } from "../../../parts/panel/Panel";
import { Cure } from "../../../parts/told/Cure";
import { Told } from "../../../parts/told/Told";
import { When } from "../../../parts/when/When";
import { useWords } from "../../../words";
import { sentence } from "../../../words/sentence";
import style from "../Schedules.module.css";
import { useSaid } from "../said";

/** What is written, read back by the server in words, with the next runs of each period. */
export function Reading({ spec }: { spec: ProfileSpec }) {
  const { schedules: words } = useWords();
  const saidOf = useSaid();
  const query = useQuery({ ...reading(spec), placeholderData: keepPreviousData });
  const { error } = query;
  return (
    <Panel title={words.reading}>
      <div aria-live="polite">
        {error ? (
          <Notice is="attention" title={<Told of={error.message} />}>
            {error instanceof Problem && error.cure ? <Cure of={error.cure} /> : undefined}
          </Notice>
        ) : (
          <Loading of={query}>
            {({ periods }) => (
              <ul className={style.readings}>
                {periods.map((period, at) => (
                  <li key={period.name}>
                    <h3>{period.name}</h3>
                    <p>{sentence(saidOf(spec.periods[at], period.words))}</p>
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
