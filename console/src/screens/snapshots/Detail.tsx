import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { snapshotItems, snapshot as snapshotQuery } from "../../api/queries";
import type { Snapshot } from "../../api/types";
import { useWho } from "../../app/session";
import { LinkButton } from "../../parts/button/LinkButton";
import { Facts } from "../../parts/facts/Facts";
import { Loading } from "../../parts/loading/Loading";
import { Notice } from "../../parts/notice/Notice";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { useNow } from "../../parts/when/now";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { Log } from "../runs/Log";
import { Changes } from "./Changes";
import { Download } from "./download/Download";
import { ItemTable } from "./ItemTable";
import { Stays } from "./SnapshotTable";
import { detail } from "./screen";
import { stateOf } from "./standing";
import { Uses } from "./Uses";

export function Detail() {
  const { id } = detail.useParams();
  const query = useQuery(snapshotQuery(id));
  return (
    <Loading of={query} screen="snapshots">
      {(snapshot) => <Shown snapshot={snapshot} />}
    </Loading>
  );
}

function Shown({ snapshot }: { snapshot: Snapshot }) {
  const { snapshots: words, screens } = useWords();
  const items = useQuery(snapshotItems(snapshot.id));
  const title = snapshot.name || words.unnamed(words.scopes[snapshot.scope]);
  return (
    <Page
      title={title}
      trail={
        <Link to="/snapshots" activeOptions={{ exact: true }}>
          {screens.snapshots}
        </Link>
      }
      answer={<When at={snapshot.time} />}
      actions={
        <>
          <Uses snapshot={snapshot} />
          <Download snapshot={snapshot} />
          {snapshot.run && (
            <LinkButton to="/runs/$id" params={{ id: snapshot.run }}>
              {words.detail.log}
            </LinkButton>
          )}
          <Changes snapshot={snapshot} />
        </>
      }
    >
      <Answer snapshot={snapshot} />
      <Panel title={words.detail.contents} isFlush>
        <Loading of={items}>{(rows) => <ItemTable items={rows} snapshot={snapshot.id} />}</Loading>
      </Panel>
      <Panel title={words.detail.facts}>
        <About snapshot={snapshot} />
      </Panel>
      {snapshot.run && (
        <Panel title={words.detail.log} isFlush>
          <Log id={snapshot.run} />
        </Panel>
      )}
    </Page>
  );
}

function Answer({ snapshot }: { snapshot: Snapshot }) {
  const { snapshots: words } = useWords();
  const state = stateOf(snapshot, useNow());
  const { captured, failed, skipped } = snapshot;
  if (state === "damaged") {
    return (
      <Notice is="failed" title={words.detail.damaged}>
        {words.detail.damagedWords}
      </Notice>
    );
  }
  if (state === "incomplete") {
    return (
      <Notice is="attention" title={words.detail.notAll(failed, skipped)}>
        {words.detail.notAllWords}
      </Notice>
    );
  }
  return <Notice is="good" title={words.detail.allCaptured(captured)} />;
}

function About({ snapshot }: { snapshot: Snapshot }) {
  const { snapshots: words, common } = useWords();
  const { detail: told } = words;
  const format = useFormat();
  const who = useWho();
  const { verified } = snapshot;
  return (
    <Facts
      of={[
        [told.taken, <When key="taken" at={snapshot.time} />],
        [told.why, words.triggers[snapshot.trigger] ?? snapshot.trigger],
        [told.by, snapshot.by],
        [
          told.profile,
          snapshot.profile && [snapshot.profile, snapshot.period].filter(Boolean).join(", "),
        ],
        [words.actions.note, snapshot.note],
        [told.bytes, format.bytes(snapshot.bytes)],
        [told.stored, format.bytes(snapshot.stored_bytes)],
        [common.tenant, who.isSystem && snapshot.tenant_name],
        [told.storage, snapshot.storage_name ?? snapshot.storage],
        [told.expiry, <Stays key="stays" snapshot={snapshot} />],
        [told.locked, snapshot.locked_until && <When at={snapshot.locked_until} />],
        [told.holds, (snapshot.holds ?? []).length > 0 && format.list(snapshot.holds ?? [])],
        [
          told.verified,
          verified ? (
            <>
              <When at={verified.time} />:{" "}
              {told.verifiedWords(format.percent(verified.percent / 100), verified.damaged)}
            </>
          ) : (
            told.notVerified
          ),
        ],
        [
          told.copyOf,
          snapshot.copy_of && (
            <Link to="/snapshots/$id" params={{ id: snapshot.copy_of }}>
              {snapshot.copy_of}
            </Link>
          ),
        ],
        [
          told.excluded,
          (snapshot.excluded ?? []).length > 0 && format.list(snapshot.excluded ?? []),
        ],
        [told.id, <code key="id">{snapshot.id}</code>],
        ["", snapshot.is_private && told.isPrivate],
      ]}
    />
  );
}
