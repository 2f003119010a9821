import { Link } from "@tanstack/react-router";
import type { Restore } from "../../api/types";
import { LinkButton } from "../../parts/button/LinkButton";
import { Facts } from "../../parts/facts/Facts";
import { Notice } from "../../parts/notice/Notice";
import { Panel } from "../../parts/panel/Panel";
import { Told } from "../../parts/told/Told";
import { useNow } from "../../parts/when/now";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { secondsOf } from "../runs/standing";
import { Interrupted } from "./Interrupted";
import { resultOf, standingOf } from "./planned";

/** What came of it, and the way back. */
export function Result({ restore }: { restore: Restore }) {
  const { restore: words, common, runs } = useWords();
  const format = useFormat();
  const { run } = restore;
  const { kept, missing, undoPoint } = resultOf(run);
  const seconds = secondsOf(run, useNow());
  return (
    <>
      {restore.standing !== "going-on" && <Answer restore={restore} />}
      {restore.standing === "interrupted" && <Interrupted restore={restore} />}
      <Panel title={words.result.facts}>
        <Facts
          of={[
            [
              words.columns.from,
              <Link key="from" to="/snapshots/$id" params={{ id: restore.snapshot }}>
                <code>{restore.snapshot}</code>
              </Link>,
            ],
            [common.by, run.by],
            [runs.started, run.started && <When at={run.started} />],
            [runs.ended, run.ended && <When at={run.ended} />],
            [runs.columns.took, seconds === undefined ? undefined : format.duration(seconds)],
            [words.result.written, format.bytes(run.progress.moved_bytes)],
            [words.result.kept, kept > 0 && format.number(kept)],
            [words.result.missing, missing > 0 && format.number(missing)],
            [
              words.result.undoPoint,
              undoPoint && (
                <Link to="/snapshots/$id" params={{ id: undoPoint }}>
                  <code>{undoPoint}</code>
                </Link>
              ),
            ],
            [
              words.result.followedBy,
              restore.followed_by && (
                <Link to="/runs/$id" params={{ id: restore.followed_by }}>
                  {words.result.toRun}
                </Link>
              ),
            ],
          ]}
        />
      </Panel>
    </>
  );
}

function Answer({ restore }: { restore: Restore }) {
  const { restore: words } = useWords();
  const { undoPoint, missing } = resultOf(restore.run);
  const told = words.results[restore.standing];
  const isWhole = restore.standing !== "done" || missing === 0;
  return (
    <Notice
      is={standingOf(restore)}
      isNews
      title={isWhole ? told.title : words.result.notAll(missing)}
      actions={
        restore.standing === "done" &&
        undoPoint && (
          <LinkButton to="/restore/new" search={{ snapshot: undoPoint }}>
            {words.result.undo}
          </LinkButton>
        )
      }
    >
      {restore.run.cause ? <Told of={restore.run.cause} /> : told.words}
      {restore.standing === "done" && undoPoint && ` ${words.result.undoWords}`}
    </Notice>
  );
}
