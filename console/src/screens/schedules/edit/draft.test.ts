import { expect, test } from "vitest";
import type { ProfileSpec } from "../../../api/types";
import { PERIOD } from "../../../parts/period/period";
import { draftOf, freshDraft, further, specOf, tagsOf } from "./draft";

const period = {
  name: "daily",
  frequency: { daily: { time: "02:30" } },
  time_zone: "UTC",
  retention: "1m",
  minimum_count: 1,
  quiesce: true,
  jitter_minutes: 0,
  missed: "once" as const,
};

test.each<[ProfileSpec]>([
  [{ scope: "full", periods: [period], enabled: false, note: "n", storage: null }],
  [
    {
      scope: { partial: { resources: ["shop"], tags: ["a", "b"] } },
      periods: [period, { ...period, name: "other" }],
      enabled: true,
      note: "",
      storage: "vault",
    },
  ],
  [
    {
      scope: "manager" as never,
      exclude: ["logs"],
      periods: [period],
      enabled: true,
      note: "",
      storage: null,
    },
  ],
])("what is read is written as it was: %o", (spec) => {
  expect(specOf(draftOf("one", spec))).toEqual(spec);
});

test("a new partial one takes what has the tag", () => {
  expect(specOf(freshDraft("partial", "UTC")).scope).toEqual({
    partial: { resources: [], tags: ["protected"] },
  });
});

test("tags stand between commas or spaces", () => {
  expect(tagsOf(" a, b  c,")).toEqual(["a", "b", "c"]);
});

test("a further period has a name of its own", () => {
  const two = [PERIOD, { ...PERIOD, name: "period-3" }];
  expect(further(two, "UTC").name).toBe("period-4");
});
