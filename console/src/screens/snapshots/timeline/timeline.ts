import type { Snapshot } from "../../../api/types";

/** So many days before now, and after it, are on the line. */
export const SPANS = [7, 31, 92, 366, 1100, 3660] as const;
export type Span = (typeof SPANS)[number];

export const spanOf = (value: unknown): Span | undefined =>
  SPANS.find((span) => span === Number(value));

const DAY_MS = 86_400_000;

/** When it goes: as its expiry and its lock say; never while something holds it, or if it has no expiry. */
export function goesAt({ expiry, locked_until, holds }: Snapshot): Date | undefined {
  if (!expiry || (holds ?? []).length > 0) return undefined;
  const ends = [expiry, locked_until].flatMap((at) => (at ? [Date.parse(at)] : []));
  return new Date(Math.max(...ends));
}

/** The shortest that shows all of these from one end to the other; what never goes fits into any. */
export function fittingSpan(snapshots: Snapshot[], now: Date): Span {
  const furthest = Math.max(
    0,
    ...snapshots.flatMap((each) =>
      [Date.parse(each.time), goesAt(each)?.getTime() ?? now.getTime()].map((at) =>
        Math.abs(at - now.getTime()),
      ),
    ),
  );
  return SPANS.find((span) => span * DAY_MS >= furthest) ?? SPANS[SPANS.length - 1] ?? 3660;
}

/** Places on a line from 0 to 1, with now in the middle. */
export interface Bar {
  from: number;
  to: number;
  /** Until there nobody can delete it. */
  lockedTo: number | undefined;
  /** It was taken before the line begins; it stays beyond its end. */
  isBefore: boolean;
  isBeyond: boolean;
}

export function barOf(snapshot: Snapshot, span: Span, now: Date): Bar {
  const place = (at: number) => 0.5 + (at - now.getTime()) / (2 * span * DAY_MS);
  const within = (at: number) => Math.min(Math.max(at, 0), 1);
  const from = place(Date.parse(snapshot.time));
  const goes = goesAt(snapshot);
  const to = goes ? place(goes.getTime()) : Number.POSITIVE_INFINITY;
  const locked = snapshot.locked_until ? place(Date.parse(snapshot.locked_until)) : 0;
  return {
    from: within(from),
    to: within(to),
    lockedTo: locked > 0.5 ? within(locked) : undefined,
    isBefore: from < 0,
    isBeyond: to > 1,
  };
}
