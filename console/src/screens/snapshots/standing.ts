import type { Snapshot } from "../../api/types";
import type { Standing } from "../../parts/state/State";

export type SnapshotState = "complete" | "incomplete" | "damaged" | "expired";

/** What one must know first: damage before what is missing, both before anything good. */
export function stateOf(snapshot: Snapshot, now: Date): SnapshotState {
  if (snapshot.verified && snapshot.verified.damaged > 0) return "damaged";
  if (!snapshot.is_complete) return "incomplete";
  return isExpired(snapshot, now) ? "expired" : "complete";
}

/** It goes with the next prune: nothing but its expiry speaks for it any more. */
export function isExpired(snapshot: Snapshot, now: Date): boolean {
  const isOver = (at: string | null | undefined) => !at || new Date(at) <= now;
  const holds = snapshot.holds ?? [];
  return (
    Boolean(snapshot.expiry) &&
    isOver(snapshot.expiry) &&
    isOver(snapshot.locked_until) &&
    holds.length === 0
  );
}

export const STANDINGS: Record<SnapshotState, Standing> = {
  complete: "good",
  incomplete: "attention",
  damaged: "failed",
  expired: "none",
};
