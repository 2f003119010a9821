import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { rowsOf, runs } from "../../api/queries";
import type { Run } from "../../api/types";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Panel } from "../../parts/panel/Panel";
import { Told } from "../../parts/told/Told";
import { useWords } from "../../words";
import { RunProgress } from "../runs/RunProgress";
import { RunTable } from "../runs/RunTable";
import { RUNS } from "./asks";
import style from "./Overview.module.css";

/** What runs now, and what ran last. */
export function Recent() {
  const { overview: words } = useWords();
  const running = useInfiniteQuery(runs({ state: "running" }, RUNS));
  const recent = useInfiniteQuery(runs({}, RUNS));
  const now = rowsOf(running.data);
  return (
    <>
      {now.length > 0 && (
        <Panel title={words.running}>
          <ul className={style.running}>
            {now.map((run) => (
              <Going key={run.id} run={run} />
            ))}
          </ul>
        </Panel>
      )}
      <Panel title={words.recent} isFlush beside={<Link to="/runs">{words.allRuns}</Link>}>
        <Loading of={recent}>
          {(data) => (
            <RunTable
              label={words.recent}
              runs={rowsOf(data).slice(0, RUNS)}
              empty={<Empty title={words.nothingRuns} />}
            />
          )}
        </Loading>
      </Panel>
    </>
  );
}

function Going({ run }: { run: Run }) {
  return (
    <li>
      <Link to="/runs/$id" params={{ id: run.id }}>
        <Told of={run.title} isTitle />
      </Link>
      <RunProgress run={run} />
    </li>
  );
}
