import { type ReactNode, useCallback, useMemo } from "react";
import type { Snapshot } from "../../api/types";
import { useWho } from "../../app/session";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { useNow } from "../../parts/when/now";
import { When } from "../../parts/when/When";
import { useFormat, useWords, type Words } from "../../words";
import type { Format } from "../../words/format";
import { RowLink } from "./RowLink";
import style from "./Rows.module.css";
import { isExpired, STANDINGS, stateOf } from "./standing";
import { UsesLine } from "./Uses";

/** So much of an id is enough for the command line. */
const SHORT = 8;

interface Props {
  snapshots: Snapshot[];
  label: string;
  empty?: ReactNode;
  onNearEnd?: (() => void) | undefined;
  onSight?: ((from: number, to: number) => void) | undefined;
}

export function SnapshotTable({ snapshots, label, empty, onNearEnd, onSight }: Props) {
  const now = useNow();
  const isQuiet = useCallback((snapshot: Snapshot) => isExpired(snapshot, now), [now]);
  return (
    <Table
      label={label}
      columns={useColumns()}
      rows={snapshots}
      rowKey={(snapshot) => snapshot.id}
      isQuiet={isQuiet}
      empty={empty}
      onNearEnd={onNearEnd}
      onSight={onSight}
    />
  );
}

/** The same ones as long as nothing changes: with others each row in sight would be drawn anew. */
function useColumns(): Column<Snapshot>[] {
  const { snapshots: words } = useWords();
  const format = useFormat();
  const now = useNow();
  return useMemo(() => columnsOf(words, format, now), [words, format, now]);
}

function columnsOf(words: Words["snapshots"], format: Format, now: Date): Column<Snapshot>[] {
  const { columns } = words;
  return [
    {
      key: "taken",
      title: columns.taken,
      isHead: true,
      cell: (snapshot) => (
        <RowLink goal={{ to: "/snapshots/$id", params: { id: snapshot.id } }}>
          <When at={snapshot.time} />
        </RowLink>
      ),
    },
    {
      key: "what",
      title: columns.what,
      cell: (snapshot) => (
        <>
          {snapshot.name || words.unnamed(words.scopes[snapshot.scope])}{" "}
          <small>{snapshot.note}</small>
          <Where snapshot={snapshot} />
        </>
      ),
    },
    {
      key: "state",
      title: columns.state,
      cell: (snapshot) => {
        const state = stateOf(snapshot, now);
        return <State is={STANDINGS[state]}>{words.state[state]}</State>;
      },
    },
    {
      key: "items",
      title: columns.items,
      isNumber: true,
      cell: ({ captured, failed, skipped }) => words.items(captured, captured + failed + skipped),
    },
    { key: "size", title: columns.size, isNumber: true, cell: ({ bytes }) => format.bytes(bytes) },
    {
      key: "stored",
      title: columns.stored,
      isNumber: true,
      cell: ({ stored_bytes }) => format.bytes(stored_bytes),
    },
    { key: "why", title: columns.why, cell: (snapshot) => <Why snapshot={snapshot} /> },
    { key: "expires", title: columns.expires, cell: (snapshot) => <Stays snapshot={snapshot} /> },
    {
      key: "uses",
      title: columns.uses,
      cell: (snapshot) => <UsesLine snapshot={snapshot} />,
    },
  ];
}

/** Whose it is, where it lies, and what it is called on the command line. */
function Where({ snapshot: { id, tenant_name, storage_name } }: { snapshot: Snapshot }) {
  const who = useWho();
  const whose = who.isSystem ? tenant_name : undefined;
  return (
    <small className={style.where}>
      {[whose, storage_name].filter(Boolean).map((name) => `${name} · `)}
      <code>{id.slice(0, SHORT)}</code>
    </small>
  );
}

function Why({ snapshot }: { snapshot: Snapshot }) {
  const { snapshots: words } = useWords();
  const told = words.triggers[snapshot.trigger] ?? snapshot.trigger;
  return snapshot.profile ? `${told}: ${snapshot.profile}` : told;
}

/** How long it stays, and what speaks for it beside its expiry. */
export function Stays({ snapshot }: { snapshot: Snapshot }) {
  const { snapshots: words } = useWords();
  const now = useNow();
  const isHeld = (snapshot.holds ?? []).length > 0;
  const isLocked = snapshot.locked_until && new Date(snapshot.locked_until) > now;
  const also = [isHeld && words.held, isLocked && words.locked].filter(Boolean).join(", ");
  return (
    <>
      {snapshot.expiry ? <When at={snapshot.expiry} /> : words.forEver}
      {also && ` (${also})`}
    </>
  );
}
