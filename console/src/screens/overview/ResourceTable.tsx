import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { rowsOf, standings } from "../../api/queries";
import { useSight } from "../../api/sight";
import type { Standing } from "../../api/types";
import { Loading } from "../../parts/loading/Loading";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { Told } from "../../parts/told/Told";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";
import { ConsistencyWord } from "../snapshots/ItemTable";
import { HEALTHS } from "./answer";
import style from "./Overview.module.css";
import { Trend } from "./Trend";

export function ResourceTable() {
  const { overview: words } = useWords();
  const query = useInfiniteQuery(standings());
  const onSight = useSight(standings().queryKey);
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
          onSight={onSight}
        />
      )}
    </Loading>
  );
}

function useColumns(): Column<Standing>[] {
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
          {row.why_not && (
            <>
              : <Told of={row.why_not} isTitle />
            </>
          )}
          {row.health !== "good" && row.last[0]?.reason && (
            <small className={style.why}>
              <Told of={row.last[0].reason} />
            </small>
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
