import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { versions as versionsQuery } from "../../api/content";
import { snapshot as snapshotQuery } from "../../api/queries";
import type { Snapshot, Version } from "../../api/types";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Notice } from "../../parts/notice/Notice";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { type Column, Table } from "../../parts/table/Table";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";
import { ChangeWord } from "./ChangeWord";
import { Crumbs } from "./Crumbs";
import { useEntryColumns } from "./entryColumns";
import { askedOf, lastOf } from "./place";
import { versions } from "./screen";

export function Versions() {
  const { id } = versions.useParams();
  const query = useQuery(snapshotQuery(id));
  return (
    <Loading of={query} screen="browse">
      {(snapshot) => <Shown snapshot={snapshot} />}
    </Loading>
  );
}

function Shown({ snapshot }: { snapshot: Snapshot }) {
  const { browse: words } = useWords();
  const place = versions.useSearch();
  const query = useQuery(versionsQuery(askedOf(place), snapshot.tenant));
  const columns = useColumns(query.data?.items ?? []);
  return (
    <Page
      title={words.versionsOf(lastOf(place.path ?? ""))}
      trail={<Crumbs snapshot={snapshot} place={place} />}
      answer={words.versionsWords}
    >
      {query.data?.has_more && <Notice is="none" title={words.olderVersions} />}
      <Panel title={words.versions} isFlush>
        <Loading of={query} lines={6}>
          {({ items }) => (
            <Table
              label={words.versions}
              columns={columns}
              rows={items}
              rowKey={({ snapshot: of, storage }) => `${of} ${storage}`}
              isQuiet={({ change }) => !change}
              empty={<Empty title={words.noVersions} />}
            />
          )}
        </Loading>
      </Panel>
    </Page>
  );
}

function useColumns(all: Version[]): Column<Version>[] {
  const { browse: words } = useWords();
  const facts = useEntryColumns<Version>(({ entry }) => entry);
  const { path, hex } = versions.useSearch();
  const before = (version: Version) =>
    all.slice(all.indexOf(version) + 1).find(({ storage }) => storage === version.storage);
  return [
    {
      key: "snapshot",
      title: words.inSnapshotOf,
      isHead: true,
      cell: ({ snapshot, time }) => (
        <Link to="/browse/$id" params={{ id: snapshot }} search={{ path, hex }}>
          <When at={time} />
        </Link>
      ),
    },
    {
      key: "change",
      title: words.change,
      cell: ({ change }) => (change ? <ChangeWord is={change} /> : words.unchanged),
    },
    ...facts,
    {
      key: "compare",
      title: words.against,
      cell: (version) => {
        const from = before(version)?.snapshot;
        if (!from || !version.change || version.change === "added") return "";
        return (
          <Link to="/browse/compare" search={{ from, to: version.snapshot, path, hex }}>
            {words.compare}
          </Link>
        );
      },
    },
  ];
}
