import { expect, test } from "vitest";
import type { Run } from "../../api/types";
import { mayAgain, secondsOf, shareOf, snapshotOf } from "./standing";

const run = (over: Partial<Run>): Run =>
  ({
    progress: { bytes: 0, total_bytes: 0 },
    state: "running",
    ...over,
  }) as Run;

test("without a total nobody knows the share", () => {
  expect(shareOf(run({}))).toBeUndefined();
  const progress = { bytes: 25, total_bytes: 100 } as Run["progress"];
  expect(shareOf(run({ progress }))).toBe(0.25);
});

test("a run takes time from its beginning, also when clocks were set back", () => {
  const now = new Date("2026-11-22T12:00:10Z");
  expect(secondsOf(run({}), now)).toBeUndefined();
  expect(secondsOf(run({ started: "2026-11-22T12:00:00Z" }), now)).toBe(10);
  expect(
    secondsOf(run({ started: "2026-11-22T12:00:00Z", ended: "2026-11-22T12:00:04Z" }), now),
  ).toBe(4);
  expect(secondsOf(run({ started: "2026-11-22T13:00:00Z" }), now)).toBe(0);
});

test("what is no snapshot is none", () => {
  expect(snapshotOf(run({ result: { snapshot: "abc" } }))).toBe("abc");
  expect(snapshotOf(run({ result: { snapshot: 4 } }))).toBeUndefined();
  expect(snapshotOf(run({ result: null }))).toBeUndefined();
});

test.each([
  ["snapshot", "failed", true],
  ["snapshot", "incomplete", true],
  ["snapshot", "canceled", true],
  ["snapshot", "running", false],
  ["snapshot", "succeeded", false],
  ["verify", "failed", false],
] as const)("a %s that is %s can be begun again: %s", (kind, state, is) => {
  expect(mayAgain(run({ kind, state }))).toBe(is);
});
