import { useInfiniteQuery } from "@tanstack/react-query";
import { rowsOf, snapshots as snapshotsQuery } from "../../api/queries";
import { LinkButton } from "../../parts/button/LinkButton";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { useWords } from "../../words";
import { SnapshotTable } from "../snapshots/SnapshotTable";

/** Which snapshot to look into. */
export function Home() {
  const { browse: words, snapshots, screens } = useWords();
  const query = useInfiniteQuery(snapshotsQuery({}));
  const more = query.hasNextPage && !query.isFetchingNextPage ? query.fetchNextPage : undefined;
  return (
    <Page
      title={screens.browse}
      answer={words.answer}
      actions={<LinkButton to="/browse/compare">{words.compareTwo}</LinkButton>}
    >
      <Panel title={screens.snapshots} isFlush>
        <Loading of={query} lines={8}>
          {(data) => (
            <SnapshotTable
              label={screens.snapshots}
              snapshots={rowsOf(data)}
              onNearEnd={more}
              empty={<Empty title={snapshots.none}>{snapshots.noneWords.all}</Empty>}
            />
          )}
        </Loading>
      </Panel>
    </Page>
  );
}
