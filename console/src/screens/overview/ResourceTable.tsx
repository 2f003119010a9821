import { Link } from "@tanstack/react-router";
import type { Status } from "../../api/types";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";

type Row = Status["resources"][number];

export function ResourceTable({ resources }: { resources: Row[] }) {
  const { overview: words } = useWords();
  return (
    <Table
      label={words.resources}
      columns={useColumns()}
      rows={resources}
      rowKey={(row) => row.id}
      isQuiet={(row) => !row.is_protected}
    />
  );
}

function useColumns(): Column<Row>[] {
  const { overview: words, common } = useWords();
  return [
    {
      key: "name",
      title: common.name,
      isHead: true,
      cell: (row) => (
        <Link to="/snapshots" search={{ resource: row.id }}>
          {row.name}
        </Link>
      ),
    },
    { key: "last", title: words.lastGood, cell: (row) => <LastGood row={row} /> },
  ];
}

function LastGood({ row }: { row: Row }) {
  const { overview: words } = useWords();
  if (row.last_good) {
    return (
      <State is={row.is_protected ? "good" : "none"}>
        <When at={row.last_good} />
      </State>
    );
  }
  return row.is_protected ? (
    <State is="failed">{words.neverCaptured}</State>
  ) : (
    <State is="none">{words.off}</State>
  );
}
