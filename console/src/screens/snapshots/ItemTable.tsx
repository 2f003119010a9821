import type { Consistency, SnapshotItem } from "../../api/types";
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

export function ItemTable({ items }: { items: SnapshotItem[] }) {
  const { snapshots: words } = useWords();
  const rows = [...items].sort(
    (one, other) => WORST_FIRST[one.outcome] - WORST_FIRST[other.outcome],
  );
  return (
    <Table
      label={words.detail.contents}
      columns={useColumns()}
      rows={rows}
      rowKey={(item) => item.place || item.name}
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

export function ConsistencyWord({ is }: { is: Consistency }) {
  const { consistency } = useWords();
  return <span title={consistency[`${is}Words`]}>{consistency[is]}</span>;
}
