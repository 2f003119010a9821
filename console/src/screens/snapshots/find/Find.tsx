import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { sightings } from "../../../api/content";
import type { Sightings } from "../../../api/types";
import { Button } from "../../../parts/button/Button";
import { Loading } from "../../../parts/loading/Loading";
import { Empty } from "../../../parts/notice/Empty";
import { Notice } from "../../../parts/notice/Notice";
import { Page } from "../../../parts/page/Page";
import { Panel } from "../../../parts/panel/Panel";
import { Told } from "../../../parts/told/Told";
import { useFormat, useWords } from "../../../words";
import { find } from "../screen";
import style from "./Find.module.css";
import { SightingTable } from "./SightingTable";
import { WantedForm } from "./WantedForm";

/** In which snapshots is a file? */
export function Find() {
  const { find: words, screens } = useWords();
  const wanted = find.useSearch();
  return (
    <Page
      title={words.title}
      answer={words.answer}
      trail={
        <Link to="/snapshots" activeOptions={{ exact: true }}>
          {screens.snapshots}
        </Link>
      }
    >
      <WantedForm key={JSON.stringify(wanted)} />
      {wanted.q ? <Found /> : <Empty title={words.begin}>{words.beginWords}</Empty>}
    </Page>
  );
}

function Found() {
  const { browse, find: words } = useWords();
  const wanted = find.useSearch();
  const query = useInfiniteQuery(sightings(wanted));
  return (
    <Panel
      title={browse.found(wanted.q ?? "")}
      beside={query.data && <Looked pages={query.data.pages} />}
      isFlush
    >
      <Loading of={query} lines={8}>
        {({ pages }) => (
          <>
            <Doubts pages={pages} />
            <Sighted pages={pages} />
            {query.hasNextPage && (
              <div className={style.more}>
                <Button isBusy={query.isFetchingNextPage} onClick={() => query.fetchNextPage()}>
                  {words.further}
                </Button>
              </div>
            )}
          </>
        )}
      </Loading>
    </Panel>
  );
}

function Sighted({ pages }: { pages: Sightings[] }) {
  const { find: words } = useWords();
  // Each page names what it saw itself: of one path only the newest is shown.
  const seen = new Map(
    pages
      .flatMap(({ items }) => items)
      .reverse()
      .map((each) => [each.entry.path_hex ?? each.entry.path, each]),
  );
  return (
    <SightingTable
      sightings={[...seen.values()].reverse()}
      empty={<Empty title={words.none}>{words.noneWords}</Empty>}
    />
  );
}

/** How far it was looked. */
function Looked({ pages }: { pages: Sightings[] }) {
  const { find: words } = useWords();
  const format = useFormat();
  const count = pages.reduce((sum, page) => sum + page.looked_into, 0);
  const last = pages.at(-1);
  const told = words.snapshots(count, format.number(count));
  return (
    <>
      {last?.until ? words.looked(told, format.moment(new Date(last.until))) : told}
      {last && !last.next && `. ${words.allLooked}`}
    </>
  );
}

/** What was not looked into, and what holds more than is shown. */
function Doubts({ pages }: { pages: Sightings[] }) {
  const { find: words } = useWords();
  const unread = pages.flatMap((page) => page.unread ?? []);
  const more = pages.flatMap((page) => page.has_more ?? []);
  return (
    <>
      {unread.length > 0 && (
        <Notice is="attention" title={words.unread}>
          <ul>
            {unread.map(({ snapshot, reason }) => (
              <li key={`${snapshot} ${reason}`}>
                <Link to="/snapshots/$id" params={{ id: snapshot }}>
                  <code>{snapshot.slice(0, 8)}</code>
                </Link>
                : <Told of={reason} />
              </li>
            ))}
          </ul>
        </Notice>
      )}
      {more.length > 0 && <Notice is="none" title={words.more(more.length)} />}
    </>
  );
}
