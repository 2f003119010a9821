import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { differenceCounts, differences } from "../../api/content";
import { rowsOf } from "../../api/queries";
import type { DifferenceCounts } from "../../api/types";
import { Button } from "../../parts/button/Button";
import { Facts } from "../../parts/facts/Facts";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Panel } from "../../parts/panel/Panel";
import { useFormat, useWords } from "../../words";
import style from "./Browse.module.css";
import { DifferenceTable } from "./DifferenceTable";
import { groupsOf, itself } from "./groups";
import { askedOf, type Place } from "./place";
import { Sides } from "./Sides";

interface Props {
  from: string;
  to: string;
  at: Place;
}

export function Differing({ from, to, at }: Props) {
  const { browse: words } = useWords();
  const query = useInfiniteQuery(differences(from, to, askedOf(at)));
  return (
    <Loading of={query} lines={8}>
      {(data) => {
        const rows = rowsOf(data);
        const file = at.path ? itself(rows, at.path) : undefined;
        if (file) return <Sides from={from} to={to} difference={file} />;
        return (
          <>
            <Counts from={from} to={to} at={at} />
            <Panel title={words.differs} isFlush>
              <DifferenceTable
                groups={groupsOf(rows, at.path)}
                from={from}
                to={to}
                empty={<Empty title={words.same} />}
              />
              {query.hasNextPage && (
                <div className={style.more}>
                  <Button isBusy={query.isFetchingNextPage} onClick={() => query.fetchNextPage()}>
                    {words.moreDifferences}
                  </Button>
                </div>
              )}
            </Panel>
          </>
        );
      }}
    </Loading>
  );
}

function Counts({ from, to, at }: Props) {
  const { browse: words } = useWords();
  const query = useQuery(differenceCounts(from, to, askedOf(at)));
  return (
    <Panel title={words.counts}>
      <Loading of={query} lines={2}>
        {({ counts }) => counts && <Told counts={counts} />}
      </Loading>
    </Panel>
  );
}

function Told({ counts }: { counts: DifferenceCounts }) {
  const { browse: words } = useWords();
  const format = useFormat();
  const sized = (count: number, bytes: number) =>
    count > 0 ? `${format.number(count)}, ${format.bytes(bytes)}` : format.number(count);
  const grown = `${counts.grown_bytes < 0 ? "−" : "+"}${format.bytes(Math.abs(counts.grown_bytes))}`;
  return (
    <Facts
      of={[
        [words.changes.added, sized(counts.added, counts.added_bytes)],
        [words.changes.removed, sized(counts.removed, counts.removed_bytes)],
        [
          words.changes.content,
          counts.content > 0 ? `${format.number(counts.content)}, ${grown}` : "0",
        ],
        [words.changes.metadata, format.number(counts.metadata)],
        [words.changes.type, counts.types > 0 && format.number(counts.types)],
      ]}
    />
  );
}
