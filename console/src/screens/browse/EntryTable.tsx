import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Entry } from "../../api/types";
import { Checkbox } from "../../parts/field/inputs";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { Told } from "../../parts/told/Told";
import { useWords } from "../../words";
import { hasContent, placeAt } from "./entry";
import { useEntryColumns } from "./entryColumns";
import { keyOf } from "./picked";
import { lastOf, type Place } from "./place";

interface Props {
  id: string;
  entries: Entry[];
  place: Place;
  /** Whole paths, for entries of different places. */
  isWhole?: boolean;
  onNearEnd?: (() => void) | undefined;
  /** Files can be chosen. */
  pick?: { picks: string[]; onPick: (key: string, is: boolean) => void } | undefined;
  empty: ReactNode;
}

export function EntryTable(props: Props) {
  const { id, entries, place, isWhole = false, onNearEnd, pick, empty } = props;
  const { browse: words } = useWords();
  const columns = useColumns(id, place, isWhole);
  const choice = usePick(pick);
  return (
    <Table
      label={words.holds}
      columns={choice ? [choice, ...columns] : columns}
      rows={entries}
      rowKey={(entry) => entry.path_hex ?? entry.path}
      onNearEnd={onNearEnd}
      empty={empty}
    />
  );
}

function useColumns(id: string, place: Place, isWhole: boolean): Column<Entry>[] {
  const { browse: words } = useWords();
  const { columns } = words;
  const facts = useEntryColumns<Entry>((entry) => entry);
  return [
    {
      key: "name",
      title: columns.name,
      isHead: true,
      cell: (entry) => (
        <>
          <Link to="/browse/$id" params={{ id }} search={placeAt(entry, place)}>
            {isWhole ? entry.path : lastOf(entry.path)}
          </Link>
          {entry.target && ` → ${entry.target}`}
        </>
      ),
    },
    { key: "kind", title: columns.kind, cell: ({ kind }) => words.kinds[kind] },
    ...facts,
    {
      key: "owner",
      title: columns.owner,
      cell: ({ user, uid, group, gid }) => `${user || uid}:${group || gid}`,
    },
    { key: "mode", title: columns.mode, cell: ({ mode }) => <code>{mode}</code> },
    { key: "problem", title: columns.problem, cell: (entry) => <Trouble entry={entry} /> },
  ];
}

function usePick(pick: Props["pick"]): Column<Entry> | undefined {
  const { browse: words } = useWords();
  if (!pick) return undefined;
  return {
    key: "pick",
    title: words.choose,
    isAction: true,
    isNarrow: true,
    cell: (entry) =>
      hasContent(entry) && (
        <Checkbox
          label={<span className="unseen">{lastOf(entry.path)}</span>}
          checked={pick.picks.includes(keyOf(entry))}
          onChange={(is) => pick.onPick(keyOf(entry), is)}
        />
      ),
  };
}

/** Why an entry is not what it should be, in words. */
export function Trouble({ entry }: { entry: Entry }) {
  const { browse: words } = useWords();
  if (!entry.is_lost && !entry.problem) return entry.path_hex ? words.oddName : "";
  return (
    <State is={entry.is_lost ? "failed" : "attention"}>
      {entry.is_lost && `${words.lost} `}
      {entry.problem && <Told of={entry.problem} />}
    </State>
  );
}
