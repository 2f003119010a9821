import { Link } from "@tanstack/react-router";
import type { Consistency, SnapshotItem } from "../../api/types";
import { useWho } from "../../app/session";
import { type Standing, State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { Told } from "../../parts/told/Told";
import { useFormat, useWords } from "../../words";

const STANDINGS: Record<SnapshotItem["outcome"], Standing> = {
  captured: "good",
  failed: "failed",
  skipped: "attention",
};

const WORST_FIRST = { failed: 0, skipped: 1, captured: 2 };

interface Props {
  items: SnapshotItem[];
  /** Id of the snapshot that holds them. */
  snapshot: string;
}

export function ItemTable({ items, snapshot }: Props) {
  const { snapshots: words } = useWords();
  const rows = [...items].sort(
    (one, other) => WORST_FIRST[one.outcome] - WORST_FIRST[other.outcome],
  );
  return (
    <Table
      label={words.detail.contents}
      columns={[...useColumns(), ...useUse(items, snapshot)]}
      rows={rows}
      rowKey={(item) => `${item.part ?? ""} ${item.place || item.name}`}
    />
  );
}

function useColumns(): Column<SnapshotItem>[] {
  const { snapshots, kinds, outcomes } = useWords();
  const { columns } = snapshots.detail;
  const format = useFormat();
  return [
    {
      key: "item",
      title: columns.item,
      isHead: true,
      cell: (item) => (
        <>
          {item.name} <small>{kinds[item.kind]}</small>
        </>
      ),
    },
    {
      key: "outcome",
      title: columns.outcome,
      cell: ({ outcome }) => <State is={STANDINGS[outcome]}>{outcomes[outcome]}</State>,
    },
    {
      key: "consistency",
      title: columns.consistency,
      cell: ({ consistency }) => consistency && <ConsistencyWord is={consistency} />,
    },
    {
      key: "window",
      title: columns.window,
      isNumber: true,
      cell: ({ frozen_seconds }) => (frozen_seconds ? format.duration(frozen_seconds) : ""),
    },
    {
      key: "size",
      title: columns.size,
      isNumber: true,
      cell: ({ bytes, outcome }) => (outcome === "captured" ? format.bytes(bytes) : ""),
    },
    {
      key: "files",
      title: columns.files,
      isNumber: true,
      cell: ({ entries, outcome }) => (outcome === "captured" ? format.number(entries) : ""),
    },
    { key: "version", title: columns.version, cell: ({ version }) => version ?? "" },
    {
      key: "reason",
      title: columns.reason,
      cell: ({ reason }) => (reason ? <Told of={reason} /> : ""),
    },
  ];
}

/** Of a full one: whose each is, and the way to restore it alone. */
function useUse(items: SnapshotItem[], snapshot: string): Column<SnapshotItem>[] {
  const { snapshots: words, common } = useWords();
  const who = useWho();
  const isOfSeveral = items.some(({ part }) => part);
  const whose: Column<SnapshotItem> = {
    key: "tenant",
    title: common.tenant,
    cell: ({ tenant_name }) => tenant_name ?? "",
  };
  const use: Column<SnapshotItem> = {
    key: "use",
    title: words.restore,
    isAction: true,
    cell: ({ kind, name, outcome, tenant, part }) =>
      outcome === "captured" &&
      kind !== "manager" && (
        <Link
          to="/restore/new"
          search={{
            snapshot,
            what: "part",
            resources: [name],
            tenant: (part && tenant) || undefined,
          }}
        >
          {words.restore}
          <span className="unseen">: {name}</span>
        </Link>
      ),
  };
  return [...(isOfSeveral ? [whose] : []), ...(who.may("restore") ? [use] : [])];
}

export function ConsistencyWord({ is }: { is: Consistency }) {
  const { consistency } = useWords();
  return <span title={consistency[`${is}Words`]}>{consistency[is]}</span>;
}
