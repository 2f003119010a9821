import { useMutation, useQuery } from "@tanstack/react-query";
import { api, ask } from "../../api/client";
import { run as runQuery } from "../../api/queries";
import type { Run } from "../../api/types";
import { useDialog } from "../../app/dialog";
import { useIsLost } from "../../app/live";
import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { LinkButton } from "../../parts/button/LinkButton";
import { Confirm } from "../../parts/dialog/Confirm";
import { Facts } from "../../parts/facts/Facts";
import { Loading } from "../../parts/loading/Loading";
import { Notice } from "../../parts/notice/Notice";
import { useTitled, useTold } from "../../parts/notice/told";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { useNow } from "../../parts/when/now";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
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
  const told = useTold();
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
          {!isOver(run) && <Cancel run={run} />}
        </>
      }
    >
      {run.cause && (
        <Notice
          is={run.state === "failed" ? "failed" : "attention"}
          title={words.states[run.state]}
        >
          {told(run.cause)}
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

function Cancel({ run }: { run: Run }) {
  const { runs: words, common } = useWords();
  const who = useWho();
  const isLost = useIsLost();
  const asked = useDialog("cancel");
  const cancel = useMutation({
    mutationFn: () =>
      ask(api.POST("/api/v1/runs/{id}/cancel", { params: { path: { id: run.id } } })),
    onSuccess: asked.close,
  });
  const needed =
    run.kind === "snapshot" ? "snapshot" : run.kind === "restore" ? "restore" : "change";
  if (!who.may(needed)) return null;
  const because = isLost ? common.offline : run.is_canceling ? words.canceling : undefined;
  return (
    <>
      <Button kind="danger" because={because} onClick={() => asked.open()}>
        {words.cancel}
      </Button>
      <Confirm
        title={words.cancelTitle}
        action={words.cancel}
        isOpen={asked.isOpen}
        isBusy={cancel.isPending}
        error={cancel.error}
        onConfirm={() => cancel.mutate()}
        onClose={asked.close}
      >
        <p>{words.cancelWords}</p>
      </Confirm>
    </>
  );
}
