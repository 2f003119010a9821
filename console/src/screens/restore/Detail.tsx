import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { plan as planQuery, restore as restoreQuery } from "../../api/restores";
import type { Restore, RestorePlan } from "../../api/types";
import { LinkButton } from "../../parts/button/LinkButton";
import { Loading } from "../../parts/loading/Loading";
import { Notice } from "../../parts/notice/Notice";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { useTitled } from "../../parts/told/said";
import { useWords } from "../../words";
import { Cancel } from "../runs/Cancel";
import { Log } from "../runs/Log";
import { useLiveRun } from "../runs/live";
import { RunProgress } from "../runs/RunProgress";
import { Apply } from "./Apply";
import { PlanPanels } from "./Plan";
import { Print } from "./Print";
import { standingOf } from "./planned";
import { Result } from "./Result";
import { detail } from "./screen";

export function Detail() {
  const { id } = detail.useParams();
  const query = useQuery(restoreQuery(id));
  const plan = useQuery(planQuery(id));
  return (
    <Loading of={query} screen="restore">
      {(restore) => (
        <Loading of={plan} screen="restore">
          {(made) => <Shown restore={restore} plan={made} />}
        </Loading>
      )}
    </Loading>
  );
}

interface Props {
  restore: Restore;
  plan: RestorePlan | null;
}

function Shown({ restore, plan }: Props) {
  const { restore: words, screens } = useWords();
  const run = useLiveRun(restore.run, ["restore"], restore.standing === "going-on");
  const titled = useTitled();
  const isPlanned = restore.standing === "planned";
  return (
    <Page
      title={titled(run.title)}
      trail={
        <Link to="/restore" activeOptions={{ exact: true }}>
          {screens.restore}
        </Link>
      }
      answer={<State is={standingOf(restore)}>{words.standings[restore.standing]}</State>}
      actions={
        <>
          <LinkButton to="/snapshots/$id" params={{ id: restore.snapshot }}>
            {words.toSnapshot}
          </LinkButton>
          {!isPlanned && <Print />}
          {restore.standing === "going-on" && <Cancel run={run} />}
        </>
      }
    >
      {!isPlanned && <Result restore={{ ...restore, run }} />}
      {restore.standing === "going-on" && (
        <Panel title={words.live}>
          <RunProgress run={run} />
        </Panel>
      )}
      {!isPlanned && (
        <Panel title={words.log} isFlush>
          <Log id={run.id} />
        </Panel>
      )}
      {plan ? (
        <PlanPanels plan={plan} snapshot={restore.snapshot} isAgreed={!isPlanned} />
      ) : (
        isPlanned && <NoPlan restore={restore} />
      )}
      {plan && isPlanned && <Apply plan={plan} />}
    </Page>
  );
}

/** Nobody agrees to what he does not see. */
function NoPlan({ restore }: { restore: Restore }) {
  const { restore: words } = useWords();
  return (
    <Notice
      is="attention"
      title={words.noPlan}
      actions={
        <LinkButton to="/restore/new" search={{ snapshot: restore.snapshot }}>
          {words.planAgain}
        </LinkButton>
      }
    >
      {words.noPlanWords}
    </Notice>
  );
}
