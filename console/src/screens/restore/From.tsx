import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { rowsOf, snapshots as snapshotsQuery } from "../../api/queries";
import type { Snapshot } from "../../api/types";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { useNow } from "../../parts/when/now";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { STANDINGS, stateOf } from "../snapshots/standing";
import { begin } from "./screen";

/** The snapshot to restore from, the newest first. */
export function From() {
  const { restore: words, snapshots } = useWords();
  const query = useInfiniteQuery(snapshotsQuery({}));
  const columns = useColumns();
  const more = query.hasNextPage && !query.isFetchingNextPage ? query.fetchNextPage : undefined;
  return (
    <Panel title={words.new.from} isFlush>
      <Loading of={query} lines={8}>
        {(data) => (
          <Table
            label={words.new.from}
            columns={columns}
            rows={rowsOf(data)}
            rowKey={({ id }) => id}
            onNearEnd={more}
            empty={<Empty title={snapshots.none}>{snapshots.noneWords.all}</Empty>}
          />
        )}
      </Loading>
    </Panel>
  );
}

function useColumns(): Column<Snapshot>[] {
  const { snapshots: words } = useWords();
  const { columns } = words;
  const format = useFormat();
  const asked = begin.useSearch();
  const now = useNow();
  return [
    {
      key: "taken",
      title: columns.taken,
      isHead: true,
      cell: ({ id, time }) => (
        <Link to="/restore/new" search={{ ...asked, snapshot: id }}>
          <When at={time} />
        </Link>
      ),
    },
    {
      key: "what",
      title: columns.what,
      cell: ({ name, scope }) => name || words.unnamed(words.scopes[scope]),
    },
    {
      key: "state",
      title: columns.state,
      cell: (snapshot) => {
        const state = stateOf(snapshot, now);
        return <State is={STANDINGS[state]}>{words.state[state]}</State>;
      },
    },
    { key: "size", title: columns.size, isNumber: true, cell: ({ bytes }) => format.bytes(bytes) },
  ];
}
