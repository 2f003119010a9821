import { expect, test } from "vitest";
import type { SyncRule } from "../../../api/types";
import { specOf, syncDraft, touches } from "./draft";

const rule = (spec: Partial<SyncRule["spec"]>) =>
  ({ name: "off-site", spec: { to: "cloud", ...spec } }) as SyncRule;

test("a new rule copies from all others, every night, for a year", () => {
  expect(specOf({ ...syncDraft(undefined, "cloud", "Europe/Berlin"), name: "r" })).toMatchObject({
    from: null,
    to: "cloud",
    period: {
      frequency: { daily: { time: "04:30" } },
      retention: "1y",
      time_zone: "Europe/Berlin",
    },
  });
});

test.each<[Partial<SyncRule["spec"]>, string, boolean]>([
  [{}, "cloud", true],
  [{ from: "vault" }, "vault", true],
  [{ from: "vault" }, "other", false],
  [{}, "other", true],
])("a rule %o touches %s: %s", (spec, storage, is) => {
  expect(touches(rule(spec), storage)).toBe(is);
});
