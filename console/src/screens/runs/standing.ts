import type { Run, RunState } from "../../api/types";
import type { Standing } from "../../parts/state/State";

const STANDINGS: Record<RunState, Standing> = {
  planned: "none",
  queued: "none",
  running: "running",
  succeeded: "good",
  incomplete: "attention",
  failed: "failed",
  canceled: "none",
};

export const standingOf = (state: RunState): Standing => STANDINGS[state];

const OVER: RunState[] = ["succeeded", "incomplete", "failed", "canceled"];
export const isOver = (run: Run): boolean => OVER.includes(run.state);

/** How much of a run is done; none: nobody knows how much there is. */
export function shareOf({ progress }: Run): number | undefined {
  return progress.total_bytes > 0 ? progress.bytes / progress.total_bytes : undefined;
}

export function secondsOf(run: Run, now: Date): number | undefined {
  if (!run.started) return undefined;
  const end = run.ended ? new Date(run.ended) : now;
  return Math.max((end.getTime() - new Date(run.started).getTime()) / 1000, 0);
}

/** The snapshot that a run took or brought. */
export function snapshotOf(run: Run): string | undefined {
  const { result } = run;
  if (typeof result !== "object" || result === null || !("snapshot" in result)) return undefined;
  return typeof result.snapshot === "string" ? result.snapshot : undefined;
}

/** A snapshot that was not taken, or not whole, is taken once more; all else has a schedule, or a screen. */
export const mayAgain = ({ kind, state }: Run): boolean =>
  kind === "snapshot" && (state === "failed" || state === "incomplete" || state === "canceled");
