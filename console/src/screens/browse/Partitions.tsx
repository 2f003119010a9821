import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { partitions } from "../../api/content";
import type { Partition } from "../../api/types";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Panel } from "../../parts/panel/Panel";
import { type Column, Table } from "../../parts/table/Table";
import { useFormat, useWords } from "../../words";

/** What lies on a disk image: one looks into it without restoring it. */
export function Partitions({ id, disk }: { id: string; disk: string }) {
  const { browse: words } = useWords();
  const format = useFormat();
  const query = useQuery(partitions(id, disk));
  const columns: Column<Partition>[] = [
    {
      key: "number",
      title: words.disk.number,
      isHead: true,
      cell: ({ number, can_be_read }) => {
        const name = number === 0 ? words.disk.whole : words.disk.partition(number);
        if (!can_be_read) return name;
        return (
          <Link to="/browse/$id" params={{ id }} search={{ disk, partition: number }}>
            {name}
          </Link>
        );
      },
    },
    { key: "kind", title: words.columns.kind, cell: ({ kind }) => kind ?? words.disk.unknown },
    {
      key: "size",
      title: words.columns.size,
      isNumber: true,
      cell: ({ size }) => format.bytes(size),
    },
    {
      key: "can",
      title: words.disk.files,
      cell: ({ can_be_read }) => (can_be_read ? words.disk.canBeRead : words.disk.cannotBeRead),
    },
  ];
  return (
    <Panel title={words.disk.title} isFlush>
      <Loading of={query}>
        {(rows) => (
          <Table
            label={words.disk.title}
            columns={columns}
            rows={rows}
            rowKey={({ number }) => String(number)}
            empty={<Empty title={words.disk.none} />}
          />
        )}
      </Loading>
    </Panel>
  );
}
