import type { ReactNode } from "react";
import type { Snapshot } from "../../../api/types";
import { State } from "../../../parts/state/State";
import { type Column, Table } from "../../../parts/table/Table";
import { useNow } from "../../../parts/when/now";
import { When } from "../../../parts/when/When";
import { useWords } from "../../../words";
import { RowLink } from "../RowLink";
import { Stays } from "../SnapshotTable";
import { isExpired, STANDINGS, stateOf } from "../standing";
import { Line, Scale } from "./Line";
import style from "./Timeline.module.css";
import type { Span } from "./timeline";

interface Props {
  snapshots: Snapshot[];
  span: Span;
  label: string;
  empty: ReactNode;
  onNearEnd?: (() => void) | undefined;
  onSight?: ((from: number, to: number) => void) | undefined;
}

/** What was taken when, and until when it stays: one line for each, all on the same scale. */
export function Timeline({ snapshots, span, label, empty, onNearEnd, onSight }: Props) {
  const { timeline: words } = useWords();
  const now = useNow();
  return (
    <>
      <Table
        label={label}
        columns={useColumns(span)}
        rows={snapshots}
        rowKey={({ id }) => id}
        isQuiet={(snapshot) => isExpired(snapshot, now)}
        empty={empty}
        onNearEnd={onNearEnd}
        onSight={onSight}
      />
      {snapshots.length > 0 && <p className={style.key}>{words.key}</p>}
    </>
  );
}

function useColumns(span: Span): Column<Snapshot>[] {
  const { snapshots: words, timeline } = useWords();
  const now = useNow();
  return [
    {
      key: "taken",
      title: words.columns.taken,
      isHead: true,
      cell: ({ id, time, name, scope }) => (
        <>
          <RowLink goal={{ to: "/snapshots/$id", params: { id } }}>
            <When at={time} />
          </RowLink>{" "}
          <small>{name || words.unnamed(words.scopes[scope])}</small>
        </>
      ),
    },
    {
      key: "state",
      title: words.columns.state,
      cell: (snapshot) => {
        const state = stateOf(snapshot, now);
        return <State is={STANDINGS[state]}>{words.state[state]}</State>;
      },
    },
    {
      key: "line",
      title: timeline.title,
      head: <Scale span={span} />,
      isWide: true,
      cell: (snapshot) => <Line snapshot={snapshot} span={span} />,
    },
    {
      key: "stays",
      title: words.columns.expires,
      cell: (snapshot) => (
        <>
          <Stays snapshot={snapshot} /> <small>{(snapshot.holds ?? []).join(", ")}</small>
        </>
      ),
    },
  ];
}
