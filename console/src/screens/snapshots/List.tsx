import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { rowsOf, snapshots } from "../../api/queries";
import { OPENED, useLeave } from "../../app/dialog";
import { useIsLost } from "../../app/live";
import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { LinkButton } from "../../parts/button/LinkButton";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { Tabs } from "../../parts/tabs/Tabs";
import { useNow } from "../../parts/when/now";
import { useWords } from "../../words";
import { Choices } from "./Choices";
import { NewDialog } from "./new/NewDialog";
import { SnapshotTable } from "./SnapshotTable";
import { list } from "./screen";
import { fits } from "./standing";
import { isIn, scopeOf, TABS, type Tab } from "./tabs";
import { Timeline } from "./timeline/Timeline";
import { fittingSpan } from "./timeline/timeline";
import { Upload } from "./upload/Upload";

export function List() {
  const { snapshots: words, screens, find } = useWords();
  const asked = list.useSearch();
  const tab = asked.tab ?? "all";
  return (
    <Page
      title={screens.snapshots}
      answer={words.answer[tab]}
      actions={
        <>
          <LinkButton to="/snapshots/find" search={{ resource: asked.resource }}>
            {find.title}
          </LinkButton>
          <Upload />
          <Take />
        </>
      }
    >
      <Tabs label={screens.snapshots}>
        {TABS.map((each) => (
          <Link
            key={each}
            to="/snapshots"
            search={(now) => ({ ...now, tab: each === "all" ? undefined : each })}
            activeOptions={{ explicitUndefined: true }}
            aria-current={each === tab ? "page" : undefined}
          >
            {words.tabs[each]}
          </Link>
        ))}
      </Tabs>
      <Panel title={words.tabs[tab]} isFlush beside={<Choices />}>
        <Rows tab={tab} />
      </Panel>
    </Page>
  );
}

function Rows({ tab }: { tab: Tab }) {
  const { snapshots: words, find } = useWords();
  const { q, resource, view, span } = list.useSearch();
  const now = useNow();
  const query = useInfiniteQuery(snapshots({ scope: scopeOf(tab), resource }));
  const more = query.hasNextPage && !query.isFetchingNextPage ? query.fetchNextPage : undefined;
  const isFiltered = Boolean(q || resource);
  return (
    <Loading of={query} lines={8}>
      {(data) => {
        const shown = {
          label: words.tabs[tab],
          snapshots: rowsOf(data).filter((each) => isIn(tab, each) && (!q || fits(each, q))),
          onNearEnd: more,
          empty: (
            <Empty
              title={isFiltered ? words.noneFound : words.none}
              action={
                q && (
                  <LinkButton to="/snapshots/find" search={{ q, resource }}>
                    {find.called(q)}
                  </LinkButton>
                )
              }
            >
              {isFiltered ? undefined : words.noneWords[tab]}
            </Empty>
          ),
        };
        if (view !== "timeline") return <SnapshotTable {...shown} />;
        return <Timeline {...shown} span={span ?? fittingSpan(data.pages[0]?.items ?? [], now)} />;
      }}
    </Loading>
  );
}

/** The dialog has an address: other screens lead to it. */
function Take() {
  const { snapshots: words, common } = useWords();
  const who = useWho();
  const isLost = useIsLost();
  const { new: isOpen } = list.useSearch();
  const navigate = useNavigate({ from: list.fullPath });
  const leave = useLeave();
  if (!who.may("snapshot")) return null;
  const open = () => navigate({ search: (now) => ({ ...now, new: true }), state: OPENED });
  const close = () =>
    leave(() => navigate({ search: (now) => ({ ...now, new: undefined }), replace: true }));
  return (
    <>
      <Button kind="primary" because={isLost ? common.offline : undefined} onClick={open}>
        {words.take}
      </Button>
      <NewDialog isOpen={isOpen === true} onClose={close} />
    </>
  );
}
