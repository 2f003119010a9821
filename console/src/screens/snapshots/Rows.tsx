import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { LONG_PAGE } from "../../api/every";
import { rowsOf, snapshots } from "../../api/queries";
import { useSight } from "../../api/sight";
import { Button } from "../../parts/button/Button";
import { LinkButton } from "../../parts/button/LinkButton";
import { useSettled } from "../../parts/field/settled";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { useNow } from "../../parts/when/now";
import { useFormat, useWords } from "../../words";
import style from "./Rows.module.css";
import { SnapshotTable } from "./SnapshotTable";
import { list } from "./screen";
import { isIn, scopeOf, type Tab } from "./tabs";
import { Timeline } from "./timeline/TimelineTable";
import { fittingSpan } from "./timeline/timeline";

/** Snapshots, the newest first; those that the server cannot filter are looked through here, page by page. */
export function Rows({ tab }: { tab: Tab }) {
  const { snapshots: words, find } = useWords();
  const { q, resource, view, span } = list.useSearch();
  const format = useFormat();
  const now = useNow();
  const isSifted = tab === "uploaded";
  const asked = snapshots(
    { scope: scopeOf(tab), resource, q: useSettled(q) },
    isSifted ? LONG_PAGE : undefined,
  );
  const query = useInfiniteQuery(asked);
  const onSight = useSight(asked.queryKey);
  const all = useMemo(() => rowsOf(query.data), [query.data]);
  const sifted = useMemo(
    () => (isSifted ? all.filter((each) => isIn(tab, each)) : all),
    [all, isSifted, tab],
  );
  const more = query.hasNextPage && !query.isFetchingNextPage ? query.fetchNextPage : undefined;
  return (
    <Loading of={query} lines={8}>
      {(data) => {
        const shown = {
          label: words.tabs[tab],
          snapshots: sifted,
          onNearEnd: isSifted ? undefined : more,
          onSight: isSifted ? undefined : onSight,
          empty: (
            <Empty
              title={q || resource ? words.noneFound : words.none}
              action={
                q && (
                  <LinkButton to="/snapshots/find" search={{ q, resource }}>
                    {find.called(q)}
                  </LinkButton>
                )
              }
            >
              {q || resource ? undefined : words.noneWords[tab]}
            </Empty>
          ),
        };
        return (
          <>
            {view === "timeline" ? (
              <Timeline {...shown} span={span ?? fittingSpan(data.pages[0]?.items ?? [], now)} />
            ) : (
              <SnapshotTable {...shown} />
            )}
            {isSifted && query.hasNextPage && (
              <div className={style.further}>
                <span>{words.lookedThrough(format.number(all.length))}</span>
                <Button isBusy={query.isFetchingNextPage} onClick={() => query.fetchNextPage()}>
                  {find.further}
                </Button>
              </div>
            )}
          </>
        );
      }}
    </Loading>
  );
}
