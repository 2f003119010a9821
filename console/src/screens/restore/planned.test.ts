import { expect, test } from "vitest";
import type { HostStanding, Restore, RestorePlan, Run, Verdict } from "../../api/types";
import { checksOf, resultOf, standingOf, sumsOf, waysOf } from "./planned";

const check = (name: string, outcome: Verdict) => ({ name, outcome, message: "" });
const planned = (name: string, replaces: boolean, checks = [check("space", "pass")]) => ({
  name,
  replaces,
  checks,
  bytes: 10,
  steps: [],
  tenant: "t",
  to: "in place",
});
const plan = {
  items: [
    planned("a", true, [check("space", "pass"), check("place", "warn")]),
    planned("b", false, [check("running", "block")]),
  ],
  missing: [{ name: "c", reason: "gone" }],
} as unknown as RestorePlan;

test("checks that stand in the way come first", () => {
  expect(checksOf(plan).map(({ of, name }) => `${of} ${name}`)).toEqual([
    "b running",
    "a place",
    "a space",
  ]);
});

test("a plan says how much is created, replaced and refused", () => {
  expect(sumsOf(plan)).toEqual({ created: 1, replaced: 1, refused: 1, bytes: 20 });
});

test("what a run does not say did not happen", () => {
  const run = (result: unknown) => ({ result }) as Run;
  expect(resultOf(run(null))).toEqual({ kept: 0, missing: 0, undoPoint: undefined });
  expect(resultOf(run({ kept: 2, undo_point: "u" }))).toEqual({
    kept: 2,
    missing: 0,
    undoPoint: "u",
  });
});

test("done is good only if nothing is missing", () => {
  const restore = (standing: Restore["standing"], state: Run["state"]) =>
    ({ standing, run: { state } }) as Restore;
  expect(standingOf(restore("done", "succeeded"))).toBe("good");
  expect(standingOf(restore("done", "incomplete"))).toBe("attention");
  expect(standingOf(restore("interrupted", "failed"))).toBe("failed");
  expect(standingOf(restore("planned", "planned"))).toBe("none");
});

test.each<[Restore["standing"], object | undefined, boolean, boolean]>([
  ["done", {}, false, false],
  ["interrupted", undefined, true, true],
  ["interrupted", {}, true, true],
  ["interrupted", { is_going_back: true }, false, true],
  ["interrupted", { is_beyond_return: true }, true, false],
  ["interrupted", { is_running: true }, false, false],
])("%s with %j: go on %s, take back %s", (standing, left, resume, undo) => {
  const hosts = [{ left }] as HostStanding[];
  expect(waysOf({ standing, hosts } as Restore)).toEqual({ resume, undo });
});
