import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { retentionPreview } from "../../../api/objects";
import type { PeriodPreview, ProfileSpec, SnapshotPreview } from "../../../api/types";
import { Loading } from "../../../parts/loading/Loading";
import { Empty } from "../../../parts/notice/Empty";
import { Notice } from "../../../parts/notice/Notice";
import { Panel } from "../../../parts/panel/Panel";
import { State } from "../../../parts/state/State";
import { type Column, Table } from "../../../parts/table/Table";
import { When } from "../../../parts/when/When";
import { useFormat, useWords } from "../../../words";
import { detail } from "../screen";
import { Calendar } from "./Calendar";
import { endOf } from "./calendar";

/** What there is of what it took, and until when, if what is written were applied to it. */
export function Preview({ id, spec }: { id: string; spec: ProfileSpec }) {
  const { schedules } = useWords();
  const words = schedules.keep;
  const { on } = detail.useSearch();
  const query = useQuery({
    ...retentionPreview(id, spec, on && endOf(on).toISOString()),
    placeholderData: keepPreviousData,
  });
  return (
    <Loading of={query}>
      {({ periods }) => (
        <>
          <Panel title={words.calendar}>
            <Calendar periods={periods} />
          </Panel>
          <Panel title={words.list} isFlush>
            <Rows periods={periods} on={on} />
          </Panel>
        </>
      )}
    </Loading>
  );
}

interface Row extends SnapshotPreview {
  period: string;
}

function Rows({ periods, on }: { periods: PeriodPreview[]; on: string | undefined }) {
  const { schedules } = useWords();
  const words = schedules.keep;
  const format = useFormat();
  const gone = periods.reduce((sum, { would_go_now }) => sum + would_go_now, 0);
  const rows = periods.flatMap(({ name, snapshots }) =>
    snapshots.map((each) => ({ ...each, period: name })),
  );
  const columns = useColumns(on);
  return (
    <>
      {gone > 0 && <Notice is="attention" title={words.goNow(format.number(gone))} />}
      <Table
        label={words.list}
        columns={columns}
        rows={rows}
        rowKey={({ id, period }) => `${period} ${id}`}
        isQuiet={({ after }) => on !== undefined && after.is_there === false}
        empty={<Empty title={words.none}>{words.noneWords}</Empty>}
      />
    </>
  );
}

function useColumns(on: string | undefined): Column<Row>[] {
  const { schedules, snapshots } = useWords();
  const words = schedules.keep;
  const format = useFormat();
  const columns: Column<Row>[] = [
    {
      key: "taken",
      title: snapshots.columns.taken,
      isHead: true,
      cell: ({ id, time }) => (
        <Link to="/snapshots/$id" params={{ id }}>
          <When at={time} />
        </Link>
      ),
    },
    { key: "period", title: words.period, cell: ({ period }) => period },
    { key: "before", title: words.goes, cell: ({ before }) => <Goes going={before} /> },
    { key: "after", title: words.wouldGo, cell: ({ after }) => <Goes going={after} /> },
    {
      key: "waits",
      title: words.heldBy,
      cell: ({ after }) => (after.waits_for ?? []).join(", "),
    },
  ];
  if (on === undefined) return columns;
  return [
    ...columns,
    {
      key: "on",
      title: format.day(endOf(on)),
      cell: ({ after }) =>
        after.is_there ? (
          <State is="good">{words.there}</State>
        ) : (
          <State is="none">{words.notThere}</State>
        ),
    },
  ];
}

function Goes({ going }: { going: SnapshotPreview["before"] }) {
  const { snapshots } = useWords();
  return going.at ? <When at={going.at} /> : snapshots.forEver;
}
