import { expect, test } from "vitest";
import type { Snapshot } from "../../../api/types";
import { barOf, fittingSpan, goesAt, type Span } from "./timeline";

const now = new Date("2026-11-22T12:00:00Z");
const day = (away: number) => new Date(now.getTime() + away * 86_400_000).toISOString();
const snapshot = (over: Partial<Snapshot>): Snapshot =>
  ({ id: "5f0a", time: day(-2), expiry: day(5), ...over }) as Snapshot;

test.each<[Partial<Snapshot>, string | undefined]>([
  [{}, day(5)],
  [{ locked_until: day(3) }, day(5)],
  [{ locked_until: day(9) }, day(9)],
  [{ expiry: null }, undefined],
  [{ holds: ["audit"] }, undefined],
])("%o goes at %s", (over, at) => {
  expect(goesAt(snapshot(over))?.toISOString()).toBe(at);
});

test.each<[Partial<Snapshot>[], Span]>([
  [[], 7],
  [[{}], 7],
  [[{}, { time: day(-30) }], 31],
  [[{ expiry: day(365) }], 366],
  [[{ expiry: day(99_999) }], 3660],
  [[{ expiry: null }], 7],
])("%o fit into %i days", (all, span) => {
  expect(fittingSpan(all.map(snapshot), now)).toBe(span);
});

test("now is in the middle, and what is outside is cut off and said", () => {
  const bar = barOf(snapshot({ time: day(-5), expiry: day(5) }), 10 as Span, now);
  expect(bar).toEqual({
    from: 0.25,
    to: 0.75,
    lockedTo: undefined,
    isBefore: false,
    isBeyond: false,
  });
  expect(barOf(snapshot({ time: day(-50), holds: ["audit"] }), 7, now)).toMatchObject({
    from: 0,
    to: 1,
    isBefore: true,
    isBeyond: true,
  });
});

test("a lock is drawn as long as it holds", () => {
  expect(barOf(snapshot({ locked_until: day(-1) }), 7, now).lockedTo).toBeUndefined();
  expect(barOf(snapshot({ locked_until: day(3.5) }), 7, now).lockedTo).toBe(0.75);
});
