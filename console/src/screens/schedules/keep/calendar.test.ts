import { expect, test } from "vitest";
import type { SnapshotPreview } from "../../../api/types";
import { countOn, dayOf, isThereOn, monthAway, weeksOf } from "./calendar";

const taken = (after: SnapshotPreview["after"]): SnapshotPreview => ({
  id: "s",
  time: new Date(2026, 10, 10, 12).toISOString(),
  before: {},
  after,
});
const until = (day: number) => ({ at: new Date(2026, 10, day, 12).toISOString() });

test.each<[SnapshotPreview["after"], string, boolean]>([
  [until(20), "2026-11-09", false],
  [until(20), "2026-11-10", true],
  [until(20), "2026-11-19", true],
  [until(20), "2026-11-20", false],
  [{}, "2030-01-01", true],
  [{ ...until(20), waits_for: ["the newest good one"] }, "2026-12-01", true],
])("one that goes %o is there on %s: %s", (after, day, is) => {
  expect(isThereOn(taken(after), day)).toBe(is);
});

test("all periods count", () => {
  const period = { name: "p", would_go_now: 0, snapshots: [taken(until(20)), taken({})] };
  expect(countOn([period, period], "2026-11-25")).toBe(2);
});

test("weeks begin on Monday", () => {
  const weeks = weeksOf("2026-11");
  expect(weeks[0]).toEqual([...Array(6).fill(undefined), "2026-11-01"]);
  expect(weeks.at(-1)?.[0]).toBe("2026-11-30");
  expect(monthAway("2026-12", 1)).toBe("2027-01");
});

test("what is no day is none", () => {
  expect(dayOf("2026-13-01")).toBeUndefined();
  expect(dayOf(7)).toBeUndefined();
});
