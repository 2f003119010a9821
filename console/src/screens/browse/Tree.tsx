import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { listing } from "../../api/content";
import { rowsOf, snapshot as snapshotQuery } from "../../api/queries";
import type { Snapshot } from "../../api/types";
import { useWho } from "../../app/session";
import { LinkButton } from "../../parts/button/LinkButton";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { Crumbs } from "./Crumbs";
import { EntryTable } from "./EntryTable";
import { hasContent } from "./entry";
import { FileView } from "./FileView";
import { Found } from "./Found";
import { Partitions } from "./Partitions";
import { PickedBar } from "./PickedBar";
import { toggled } from "./picked";
import { askedOf, crumbsOf } from "./place";
import { RestoreLink } from "./RestoreLink";
import { SearchField } from "./SearchField";
import { tree } from "./screen";

export function Tree() {
  const { id } = tree.useParams();
  const query = useQuery(snapshotQuery(id));
  return (
    <Loading of={query} screen="browse">
      {(snapshot) => <Shown snapshot={snapshot} />}
    </Loading>
  );
}

function Shown({ snapshot }: { snapshot: Snapshot }) {
  const { browse: words, snapshots } = useWords();
  const { pick: _, ...place } = tree.useSearch();
  const who = useWho();
  const { id } = snapshot;
  const name = snapshot.name || snapshots.unnamed(snapshots.scopes[snapshot.scope]);
  const here = crumbsOf(place).at(-1)?.name;
  return (
    <Page
      title={here ?? name}
      trail={<Crumbs snapshot={snapshot} place={place} />}
      answer={
        <>
          {words.asOf} <When at={snapshot.time} />
        </>
      }
      actions={
        <>
          {place.path && !place.disk && (
            <LinkButton to="/browse/$id/versions" params={{ id }} search={place}>
              {words.versions}
            </LinkButton>
          )}
          {!place.disk && (
            <LinkButton to="/browse/compare" search={{ to: id, path: place.path, hex: place.hex }}>
              {words.compare}
            </LinkButton>
          )}
          {who.may("system") && place.path && !place.disk && !place.hex && (
            <LinkButton
              to="/snapshots/$id"
              params={{ id }}
              search={{ download: true, path: place.path }}
            >
              {words.asZip}
            </LinkButton>
          )}
          {place.path && <RestoreLink id={id} place={place} />}
        </>
      }
    >
      <What id={id} />
    </Page>
  );
}

/** What was looked for, the partitions of a disk, a directory, or a file. */
function What({ id }: { id: string }) {
  const place = tree.useSearch();
  if (place.q && !place.disk) return <Found id={id} q={place.q} path={place.path} />;
  if (place.disk && place.partition === undefined) return <Partitions id={id} disk={place.disk} />;
  return <Listed id={id} />;
}

function Listed({ id }: { id: string }) {
  const { browse: words } = useWords();
  const format = useFormat();
  const who = useWho();
  const { pick, ...place } = tree.useSearch();
  const navigate = useNavigate({ from: tree.fullPath });
  const onPick = (key: string, is: boolean) =>
    navigate({ search: (now) => ({ ...now, pick: toggled(now.pick, key, is) }), replace: true });
  const query = useInfiniteQuery(listing(id, askedOf(place)));
  const more = query.hasNextPage && !query.isFetchingNextPage ? query.fetchNextPage : undefined;
  return (
    <Loading of={query} lines={8}>
      {(data) => {
        const itself = data.pages[0]?.itself;
        const rows = rowsOf(data);
        if (itself && hasContent(itself)) return <FileView id={id} entry={itself} place={place} />;
        return (
          <Panel
            title={words.holds}
            beside={
              <>
                {words.count(format.number(rows.length), query.hasNextPage)}
                {!place.disk && <SearchField />}
              </>
            }
            isFlush
          >
            <PickedBar id={id} entries={rows} />
            <EntryTable
              id={id}
              pick={who.may("restore") ? { picks: pick ?? [], onPick } : undefined}
              entries={rows}
              place={place}
              onNearEnd={more}
              empty={<Empty title={words.empty} />}
            />
          </Panel>
        );
      }}
    </Loading>
  );
}
