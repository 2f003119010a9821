import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Run } from "../../api/types";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { Told } from "../../parts/told/Told";
import { useNow } from "../../parts/when/now";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { secondsOf, standingOf } from "./standing";

interface Props {
  runs: Run[];
  label: string;
  empty?: ReactNode;
  onNearEnd?: (() => void) | undefined;
  onSight?: ((from: number, to: number) => void) | undefined;
}

export function RunTable({ runs, label, empty, onNearEnd, onSight }: Props) {
  return (
    <Table
      label={label}
      columns={useColumns()}
      rows={runs}
      rowKey={(run) => run.id}
      empty={empty}
      onNearEnd={onNearEnd}
      onSight={onSight}
    />
  );
}

function useColumns(): Column<Run>[] {
  const { runs: words } = useWords();
  const format = useFormat();
  const now = useNow();
  return [
    {
      key: "what",
      title: words.columns.what,
      isHead: true,
      cell: (run) => (
        <Link to="/runs/$id" params={{ id: run.id }}>
          {run.title ? <Told of={run.title} isTitle /> : words.kinds[run.kind]}
        </Link>
      ),
    },
    {
      key: "state",
      title: words.columns.state,
      cell: (run) => <State is={standingOf(run.state)}>{words.states[run.state]}</State>,
    },
    {
      key: "begun",
      title: words.columns.begun,
      cell: (run) => <When at={run.started ?? run.created} />,
    },
    {
      key: "took",
      title: words.columns.took,
      isNumber: true,
      cell: (run) => {
        const seconds = secondsOf(run, now);
        return seconds === undefined ? "" : format.duration(seconds);
      },
    },
    { key: "by", title: words.columns.by, cell: (run) => run.by },
  ];
}
