import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { storageState } from "../../api/queries";
import type { Storage } from "../../api/types";
import { Empty } from "../../parts/notice/Empty";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { useNow } from "../../parts/when/now";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { unknownSince } from "./known";
import { standingOf } from "./standing";

export function StorageTable({ storages }: { storages: Storage[] }) {
  const { storages: words, screens } = useWords();
  return (
    <Table
      label={screens.storages}
      columns={useColumns()}
      rows={storages}
      rowKey={({ id }) => id}
      empty={<Empty title={words.none}>{words.noneWords}</Empty>}
    />
  );
}

function useColumns(): Column<Storage>[] {
  const { storages: words, common } = useWords();
  return [
    {
      key: "name",
      title: common.name,
      isHead: true,
      cell: ({ id, name }) => (
        <Link to="/storages/$id" params={{ id }}>
          {name}
        </Link>
      ),
    },
    { key: "kind", title: common.kind, cell: ({ spec }) => words.kinds[spec.kind] },
    { key: "state", title: common.state, cell: ({ id }) => <Standing id={id} /> },
    { key: "used", title: words.used, isNumber: true, cell: ({ id }) => <Used id={id} /> },
    { key: "free", title: words.free, isNumber: true, cell: ({ id }) => <Free id={id} /> },
    { key: "full", title: words.fullAt, cell: ({ id }) => <Full id={id} /> },
    {
      key: "use",
      title: words.use,
      cell: ({ spec }) =>
        [spec.is_default && words.isDefault, spec.is_shared && words.isShared]
          .filter(Boolean)
          .join(", "),
    },
  ];
}

/** Cells ask for themselves: the list is there before the state of each is. */
const useState = (id: string) => useQuery(storageState(id)).data;

/** As far as it is known. */
function useUsage(id: string) {
  const state = useState(id);
  const now = useNow();
  return state && !unknownSince(state, now) ? state.usage : undefined;
}

function Standing({ id }: { id: string }) {
  const { storages: words } = useWords();
  const { data: state, error } = useQuery(storageState(id));
  if (!state && !error) return null;
  const standing = state ? standingOf(state) : "none";
  return <State is={standing}>{words.standing[standing]}</State>;
}

function Used({ id }: { id: string }) {
  const { storages: words } = useWords();
  const format = useFormat();
  const state = useState(id);
  const now = useNow();
  const since = state && unknownSince(state, now);
  if (since) {
    return (
      <small>
        {words.notKnownSince} <When at={since} short />
      </small>
    );
  }
  return state?.usage ? format.bytes(state.usage.used_bytes) : null;
}

function Free({ id }: { id: string }) {
  const format = useFormat();
  const free = useUsage(id)?.free_bytes;
  return typeof free === "number" ? format.bytes(free) : null;
}

function Full({ id }: { id: string }) {
  const at = useUsage(id)?.full_at;
  return at ? <When at={at} short /> : null;
}
