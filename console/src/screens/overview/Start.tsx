import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { profiles, rowsOf, runs, storages } from "../../api/queries";
import type { Status } from "../../api/types";
import { useWho } from "../../app/session";
import { LinkButton } from "../../parts/button/LinkButton";
import { Panel } from "../../parts/panel/Panel";
import { State } from "../../parts/state/State";
import { useWords } from "../../words";
import style from "./Overview.module.css";

/** The way from nothing to a restore that was tried. It goes when all its steps are done. */
export function Start({ status }: { status: Status }) {
  const { overview, snapshots, storages: places, schedules: plans, resources: things } = useWords();
  const words = overview.start;
  const who = useWho();
  const kept = useQuery(storages);
  const planned = useQuery(profiles);
  const restored = useInfiniteQuery(runs({ kind: "restore", state: "succeeded" }, 1));
  if (!kept.data || !planned.data || !restored.data || !who.may("change")) return null;
  const { counts } = status;
  const isTaken = counts.good + counts.attention + counts.failed > 0;
  const isAny = isTaken || counts.never + counts.unprotected > 0;
  const isElsewhere = kept.data.items.some(({ spec }) => spec.kind !== "internal");
  const isRestored = rowsOf(restored.data).length > 0;
  if (isTaken && isRestored) return null;
  return (
    <Panel title={words.title}>
      <ol className={style.steps}>
        <Step
          is={isElsewhere}
          title={words.storage}
          words={words.storageWords}
          action={
            <LinkButton to="/storages" search={{ new: true }}>
              {places.add}
            </LinkButton>
          }
        />
        <Step
          is={isAny}
          title={words.resource}
          words={words.resourceWords}
          action={<LinkButton to="/resources/new">{things.add}</LinkButton>}
        />
        <Step
          is={planned.data.items.some(({ spec }) => spec.enabled)}
          title={words.profile}
          words={words.profileWords}
          action={<LinkButton to="/schedules">{plans.add}</LinkButton>}
        />
        <Step
          is={isTaken}
          title={words.snapshot}
          words={words.snapshotWords}
          action={
            <LinkButton to="/snapshots" search={{ new: true }}>
              {snapshots.take}
            </LinkButton>
          }
        />
        <Step
          is={isRestored}
          title={words.restore}
          words={words.restoreWords}
          action={<LinkButton to="/snapshots">{snapshots.restore}</LinkButton>}
        />
      </ol>
    </Panel>
  );
}

interface StepProps {
  is: boolean;
  title: string;
  words: string;
  action?: ReactNode;
}

function Step({ is, title, words, action }: StepProps) {
  const { overview } = useWords();
  return (
    <li className={style.step}>
      <div>
        <h3>
          <State is={is ? "good" : "none"}>
            {title}
            {is && <span className="unseen">: {overview.start.done}</span>}
          </State>
        </h3>
        <p className={style.quiet}>{words}</p>
      </div>
      {!is && action}
    </li>
  );
}
