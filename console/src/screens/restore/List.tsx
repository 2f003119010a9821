import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { rowsOf } from "../../api/queries";
import { restores } from "../../api/restores";
import { useSight } from "../../api/sight";
import type { Restore } from "../../api/types";
import { LinkButton } from "../../parts/button/LinkButton";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { Told } from "../../parts/told/Told";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";
import { standingOf } from "./planned";

export function List() {
  const { restore: words, screens } = useWords();
  const query = useInfiniteQuery(restores);
  const onSight = useSight(restores.queryKey);
  const more = query.hasNextPage && !query.isFetchingNextPage ? query.fetchNextPage : undefined;
  const columns = useColumns();
  const begin = (
    <LinkButton kind="primary" to="/restore/new">
      {words.begin}
    </LinkButton>
  );
  return (
    <Page title={screens.restore} answer={words.answer} actions={begin}>
      <Panel title={words.soFar} isFlush>
        <Loading of={query} lines={8}>
          {(data) => (
            <Table
              label={words.soFar}
              columns={columns}
              rows={rowsOf(data)}
              rowKey={({ run }) => run.id}
              isQuiet={({ standing }) => standing === "planned"}
              onNearEnd={more}
              onSight={onSight}
              empty={<Empty title={words.none}>{words.noneWords}</Empty>}
            />
          )}
        </Loading>
      </Panel>
    </Page>
  );
}

function useColumns(): Column<Restore>[] {
  const { restore: words } = useWords();
  const { columns } = words;
  return [
    {
      key: "what",
      title: columns.what,
      isHead: true,
      cell: ({ run }) => (
        <Link to="/restore/$id" params={{ id: run.id }}>
          <Told of={run.title} isTitle />
        </Link>
      ),
    },
    {
      key: "state",
      title: columns.state,
      cell: (restore) => (
        <State is={standingOf(restore)}>{words.standings[restore.standing]}</State>
      ),
    },
    {
      key: "from",
      title: columns.from,
      cell: ({ snapshot }) => (
        <Link to="/snapshots/$id" params={{ id: snapshot }}>
          <code>{snapshot.slice(0, 8)}</code>
        </Link>
      ),
    },
    { key: "when", title: columns.when, cell: ({ run }) => <When at={run.created} /> },
    { key: "by", title: columns.by, cell: ({ run }) => run.by },
  ];
}
