import { useQuery } from "@tanstack/react-query";
import { run as runQuery } from "../../api/queries";
import type { Run } from "../../api/types";
import { LinkButton } from "../../parts/button/LinkButton";
import { Facts } from "../../parts/facts/Facts";
import { Loading } from "../../parts/loading/Loading";
import { Notice } from "../../parts/notice/Notice";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { useTitled } from "../../parts/told/said";
import { Told } from "../../parts/told/Told";
import { useNow } from "../../parts/when/now";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { Again } from "./Again";
import { Cancel } from "./Cancel";
import { useFollow } from "./follow";
import { Log } from "./Log";
import { RunProgress } from "./RunProgress";
import { detail } from "./screen";
import { isOver, secondsOf, snapshotOf, standingOf } from "./standing";

export function Detail() {
  const { id } = detail.useParams();
  const query = useQuery(runQuery(id));
  useFollow(id, query.data !== undefined && !isOver(query.data));
  return (
    <Loading of={query} screen="runs">
      {(run) => <Shown run={run} />}
    </Loading>
  );
}

function Shown({ run }: { run: Run }) {
  const { runs: words } = useWords();
  const titled = useTitled();
  const taken = snapshotOf(run);
  return (
    <Page
      title={titled(run.title) || words.kinds[run.kind]}
      answer={<State is={standingOf(run.state)}>{words.states[run.state]}</State>}
      actions={
        <>
          {taken && (
            <LinkButton to="/snapshots/$id" params={{ id: taken }}>
              {words.toSnapshot}
            </LinkButton>
          )}
          <Again run={run} />
          {!isOver(run) && <Cancel run={run} />}
        </>
      }
    >
      {run.cause && (
        <Notice
          is={run.state === "failed" ? "failed" : "attention"}
          title={words.states[run.state]}
        >
          <Told of={run.cause} />
        </Notice>
      )}
      {!isOver(run) && (
        <Panel title={words.progress}>
          <RunProgress run={run} />
        </Panel>
      )}
      <Panel title={words.facts}>
        <RunFacts run={run} />
      </Panel>
      <Panel title={words.log} isFlush>
        <Log id={run.id} />
      </Panel>
    </Page>
  );
}

function RunFacts({ run }: { run: Run }) {
  const { runs: words } = useWords();
  const format = useFormat();
  const seconds = secondsOf(run, useNow());
  return (
    <Facts
      of={[
        [words.kind, words.kinds[run.kind]],
        [words.columns.by, run.by],
        [words.created, <When key="created" at={run.created} />],
        [words.started, run.started && <When at={run.started} />],
        [words.ended, run.ended && <When at={run.ended} />],
        [words.columns.took, seconds === undefined ? undefined : format.duration(seconds)],
        [words.attempts, run.attempts > 1 && words.attemptsWords(run.attempts)],
      ]}
    />
  );
}
