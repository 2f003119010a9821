import { useQuery } from "@tanstack/react-query";
import { status as statusQuery } from "../../api/queries";
import type { Status } from "../../api/types";
import { useWho } from "../../app/session";
import { LinkButton } from "../../parts/button/LinkButton";
import { Loading } from "../../parts/loading/Loading";
import { Notice } from "../../parts/notice/Notice";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { useWords } from "../../words";
import { answerOf, seriousFirst } from "./answer";
import { Days } from "./Days";
import { Recent } from "./Recent";
import { ResourceTable } from "./ResourceTable";
import { Space } from "./Space";
import { Start } from "./Start";
import { WarningNotice } from "./WarningNotice";

/** Can everything be restored, as of when? */
export function Overview() {
  const { screens } = useWords();
  const query = useQuery(statusQuery());
  return (
    <Page title={screens.overview} actions={query.data && isAny(query.data) && <Ways />}>
      <Loading of={query}>{(status) => <Answered status={status} />}</Loading>
    </Page>
  );
}

const isAny = ({ counts }: Status) => Object.values(counts).some((count) => count > 0);

/** Whoever comes on the worst day looks for these first. */
function Ways() {
  const { snapshots } = useWords();
  const who = useWho();
  return (
    <>
      {who.may("snapshot") && (
        <LinkButton to="/snapshots" search={{ new: true }}>
          {snapshots.take}
        </LinkButton>
      )}
      {who.may("restore") && (
        <LinkButton kind="primary" to="/restore/new">
          {snapshots.restore}
        </LinkButton>
      )}
    </>
  );
}

function Answered({ status }: { status: Status }) {
  const { overview: words } = useWords();
  return (
    <>
      <Answer status={status} />
      <Start status={status} />
      {seriousFirst(status.warnings).map((warning) => (
        <WarningNotice key={`${warning.code} ${warning.what}`} warning={warning} />
      ))}
      {isAny(status) && (
        <Panel title={words.resources} isFlush>
          <ResourceTable />
        </Panel>
      )}
      <Days />
      <Space />
      <Recent />
    </>
  );
}

function Answer({ status }: { status: Status }) {
  const { overview: words } = useWords();
  const answer = answerOf(status);
  if (answer.isReplaced) return <Notice is="failed" title={words.notHere} />;
  if (answer.all === 0) return <Notice is="none" title={words.noneYet} />;
  const title =
    answer.good === answer.all
      ? words.allGood(answer.all)
      : words.someGood(answer.good, answer.all);
  const count = status.warnings.length;
  return (
    <Notice is={answer.standing} title={title}>
      {count > 0 && words.lookBelow(count)}
    </Notice>
  );
}
