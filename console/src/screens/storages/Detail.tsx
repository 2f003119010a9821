import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { storage as storageQuery } from "../../api/objects";
import { storageState } from "../../api/queries";
import type { Storage } from "../../api/types";
import { useWho } from "../../app/session";
import { Facts } from "../../parts/facts/Facts";
import { Loading } from "../../parts/loading/Loading";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";
import { Bandwidth } from "./bandwidth/Bandwidth";
import { Changes } from "./Changes";
import { Checks } from "./Checks";
import { Keys } from "./keys/Keys";
import { detail } from "./screen";
import { standingOf } from "./standing";
import { Syncs } from "./sync/Syncs";
import { Usage } from "./Usage";

export function Detail() {
  const { id } = detail.useParams();
  const query = useQuery(storageQuery(id));
  return (
    <Loading of={query} screen="storages">
      {(storage) => <Shown storage={storage} />}
    </Loading>
  );
}

function Shown({ storage }: { storage: Storage }) {
  const { storages: words, screens } = useWords();
  const who = useWho();
  return (
    <Page
      title={storage.name}
      trail={
        <Link to="/storages" activeOptions={{ exact: true }}>
          {screens.storages}
        </Link>
      }
      answer={<Answer id={storage.id} />}
      actions={<Changes storage={storage} />}
    >
      <Checks id={storage.id} />
      <Usage id={storage.id} />
      <Panel title={words.facts}>
        <StorageFacts storage={storage} />
      </Panel>
      <Syncs storage={storage} />
      <Bandwidth storage={storage} />
      {who.may("system") && <Keys storage={storage} />}
    </Page>
  );
}

function Answer({ id }: { id: string }) {
  const { storages: words } = useWords();
  const { data: state } = useQuery(storageState(id));
  if (!state) return null;
  const standing = standingOf(state);
  return <State is={standing}>{words.standingWords[standing]}</State>;
}

function StorageFacts({ storage }: { storage: Storage }) {
  const { storages: words, common } = useWords();
  const { spec } = storage;
  return (
    <Facts
      of={[
        [common.kind, words.kinds[spec.kind]],
        [words.url, spec.url],
        [words.mountPoint, spec.mount_point],
        [words.accessKey, spec.access_key?.id],
        [words.agentKey, spec.agent_access_key?.id],
        [words.isDefaultLong, spec.is_default ? common.yes : common.no],
        [words.isSharedLong, spec.is_shared ? common.yes : common.no],
        [words.created, <When key="created" at={storage.created} />],
      ]}
    />
  );
}
