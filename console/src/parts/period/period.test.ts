import { expect, test } from "vitest";
import type { Frequency, Period } from "../../api/types";
import { draftOf, PERIOD, periodOf } from "./period";

const rest = {
  time_zone: "Europe/Berlin",
  retention: "7d",
  minimum_count: 2,
  quiesce: false,
  jitter_minutes: 5,
  missed: "skip" as const,
};

test.each<[Frequency]>([
  [{ hourly: { minute: 15 } }],
  [{ daily: { time: "02:30" } }],
  [{ weekly: { weekday: "friday", time: "18:00" } }],
  [{ monthly: { day: 31, time: "00:00" } }],
  [{ yearly: { month: 2, day: 29, time: "01:00" } }],
  [{ cron: "30 2 * * MON#1" }],
])("what is read from %o is written as it was", (frequency) => {
  const period: Period = { name: "one", frequency, ...rest };
  expect(periodOf(draftOf(period))).toEqual(period);
});

test("a lock and windows are kept, and are only there if they were chosen", () => {
  const period: Period = {
    name: "one",
    frequency: { daily: { time: "02:30" } },
    ...rest,
    immutable: { unlock_delay_days: 3 },
    blackouts: [{ days: ["monday"], from: "08:00", to: "18:00" }],
  };
  expect(periodOf(draftOf(period))).toEqual(period);
  expect(periodOf(PERIOD)).not.toHaveProperty("immutable");
  expect(periodOf(PERIOD)).not.toHaveProperty("blackouts");
});

test("what is no number counts as none", () => {
  expect(periodOf({ ...PERIOD, minimum: "some" }).minimum_count).toBe(0);
});
