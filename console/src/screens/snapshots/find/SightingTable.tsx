import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Sighting } from "../../../api/types";
import { useWho } from "../../../app/session";
import { type Column, Table } from "../../../parts/table/Table";
import { When } from "../../../parts/when/When";
import { useWords } from "../../../words";
import { unfitOf } from "../../browse/entry";
import { useEntryColumns } from "../../browse/entryColumns";
import style from "./Find.module.css";

export function SightingTable(props: { sightings: Sighting[]; empty: ReactNode }) {
  const { find: words } = useWords();
  return (
    <Table
      label={words.title}
      columns={useColumns()}
      rows={props.sightings}
      rowKey={({ entry }) => entry.path_hex ?? entry.path}
      empty={props.empty}
    />
  );
}

const placeOf = ({ entry }: Sighting) => ({
  path: entry.path,
  ...(entry.path_hex && { hex: entry.path_hex }),
});

function useColumns(): Column<Sighting>[] {
  const { find: words, browse } = useWords();
  const { columns } = browse;
  const facts = useEntryColumns<Sighting>(({ entry }) => entry);
  return [
    {
      key: "name",
      title: columns.name,
      isHead: true,
      cell: (each) => (
        <Link to="/browse/$id" params={{ id: each.snapshot }} search={placeOf(each)}>
          {each.entry.path}
        </Link>
      ),
    },
    { key: "kind", title: columns.kind, cell: ({ entry }) => browse.kinds[entry.kind] },
    ...facts,
    {
      key: "snapshot",
      title: words.inSnapshot,
      cell: ({ snapshot, time }) => (
        <Link to="/snapshots/$id" params={{ id: snapshot }}>
          <When at={time} />
        </Link>
      ),
    },
    { key: "do", title: words.do, cell: (each) => <Uses of={each} /> },
  ];
}

function Uses({ of }: { of: Sighting }) {
  const { find: words, snapshots } = useWords();
  const who = useWho();
  const place = placeOf(of);
  return (
    <span className={style.uses}>
      <Link to="/browse/$id/versions" params={{ id: of.snapshot }} search={place}>
        {words.versions}
      </Link>
      {who.may("restore") && !unfitOf(place) && (
        <Link
          to="/restore/new"
          search={{ snapshot: of.snapshot, what: "files", path: of.entry.path }}
        >
          {snapshots.restore}
        </Link>
      )}
    </span>
  );
}
