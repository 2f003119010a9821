import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { rowsOf, standings } from "../../api/queries";
import type { Standing } from "../../api/types";
import { Loading } from "../../parts/loading/Loading";
import { useTitled, useTold } from "../../parts/notice/told";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";
import { ConsistencyWord } from "../snapshots/ItemTable";
import { HEALTHS } from "./answer";
import style from "./Overview.module.css";
import { Trend } from "./Trend";

export function ResourceTable() {
  const { overview: words } = useWords();
  const query = useInfiniteQuery(standings());
  const columns = useColumns();
  const more = query.hasNextPage && !query.isFetchingNextPage ? query.fetchNextPage : undefined;
  return (
    <Loading of={query}>
      {(data) => (
        <Table
          label={words.resources}
          columns={columns}
          rows={rowsOf(data)}
          rowKey={(row) => row.id}
          isQuiet={(row) => !row.is_protected}
          onNearEnd={more}
        />
      )}
    </Loading>
  );
}

function useColumns(): Column<Standing>[] {
  const titled = useTitled();
  const told = useTold();
  const { overview: words, common, kinds } = useWords();
  return [
    {
      key: "name",
      title: common.name,
      isHead: true,
      cell: (row) => (
        <>
          <Link to="/snapshots" search={{ resource: row.id }}>
            {row.name}
          </Link>{" "}
          <small>{kinds[row.kind]}</small>
        </>
      ),
    },
    {
      key: "state",
      title: common.state,
      cell: (row) => (
        <State is={HEALTHS[row.health]}>
          {words.healths[row.health]}
          {row.why_not && `: ${titled(row.why_not)}`}
          {row.health !== "good" && row.last[0]?.reason && (
            <small className={style.why}>{told(row.last[0].reason)}</small>
          )}
        </State>
      ),
    },
    { key: "last", title: words.lastGood, cell: (row) => <LastGood row={row} /> },
    {
      key: "consistency",
      title: words.consistency,
      cell: ({ consistency }) => consistency && <ConsistencyWord is={consistency} />,
    },
    {
      key: "verified",
      title: words.verified,
      cell: ({ last_verified }) =>
        last_verified ? <When at={last_verified} short /> : words.notVerified,
    },
    { key: "trend", title: words.trend, cell: ({ last }) => <Trend of={last} /> },
    {
      key: "next",
      title: words.next,
      cell: ({ next }) =>
        next ? (
          <>
            <When at={next.time} short /> <small>{next.profile_name}</small>
          </>
        ) : (
          words.noNext
        ),
    },
  ];
}

function LastGood({ row }: { row: Standing }) {
  const { overview: words } = useWords();
  if (!row.last_good) return words.neverCaptured;
  const when = <When at={row.last_good} />;
  if (!row.last_good_snapshot) return when;
  return (
    <Link to="/snapshots/$id" params={{ id: row.last_good_snapshot }}>
      {when}
    </Link>
  );
}
