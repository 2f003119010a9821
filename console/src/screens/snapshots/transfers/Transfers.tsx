import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { bundles as bundlesQuery, uploads as uploadsQuery } from "../../../api/transfers";
import { OPENED } from "../../../app/dialog";
import { useWho } from "../../../app/session";
import { Panel } from "../../../parts/panel/Panel";
import { Progress } from "../../../parts/progress/Progress";
import { type Column, Table } from "../../../parts/table/Table";
import { When } from "../../../parts/when/When";
import { useFormat, useWords } from "../../../words";
import { type Going, goingOf } from "./going";

/** Files that come or go, also those that were begun elsewhere, or before this page was loaded again. */
export function Transfers() {
  const who = useWho();
  return who.may("system") && <Listed />;
}

function Listed() {
  const { transfers } = useWords();
  const words = transfers.going;
  const uploads = useQuery(uploadsQuery);
  const bundles = useQuery(bundlesQuery);
  const columns = useColumns();
  const rows = goingOf(uploads.data?.items ?? [], bundles.data?.items ?? []);
  if (rows.length === 0) return null;
  return (
    <Panel title={words.title} isFlush>
      <Table label={words.title} columns={columns} rows={rows} rowKey={({ id }) => id} />
    </Panel>
  );
}

function useColumns(): Column<Going>[] {
  const { transfers, common } = useWords();
  const words = transfers.going;
  const format = useFormat();
  return [
    { key: "name", title: common.name, isHead: true, cell: ({ name }) => name },
    {
      key: "state",
      title: common.state,
      cell: ({ name, waits, share }) => (
        <>
          {words.waits[waits]}
          {share !== undefined && (
            <Progress share={share} label={`${transfers.upload.progress}: ${name}`} />
          )}
        </>
      ),
    },
    {
      key: "size",
      title: common.size,
      isNumber: true,
      cell: ({ bytes }) => (bytes ? format.bytes(bytes) : ""),
    },
    { key: "until", title: words.until, cell: ({ until }) => until && <When at={until} /> },
    { key: "do", title: common.actions, isAction: true, cell: (each) => <GoOn going={each} /> },
  ];
}

function GoOn({ going: { id, name, snapshot } }: { going: Going }) {
  const { transfers } = useWords();
  const said = (
    <>
      {transfers.upload.goOn}
      <span className="unseen">: {name}</span>
    </>
  );
  return snapshot ? (
    <Link to="/snapshots/$id" params={{ id: snapshot }} search={{ download: id }}>
      {said}
    </Link>
  ) : (
    <Link to="/snapshots" search={(now) => ({ ...now, upload: id })} state={OPENED}>
      {said}
    </Link>
  );
}
