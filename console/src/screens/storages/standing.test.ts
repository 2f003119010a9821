import { expect, test } from "vitest";
import type { Check, StorageState } from "../../api/types";
import type { Standing } from "../../parts/state/State";
import { standingOf } from "./standing";

test.each<[Check["outcome"][], boolean, Standing]>([
  [[], true, "none"],
  [["pass"], true, "good"],
  [["pass", "warn"], true, "attention"],
  [["warn", "block"], false, "failed"],
  [["pass"], false, "failed"],
])("checks %o, good %s: %s", (outcomes, is_good, standing) => {
  const checks = outcomes.map((outcome) => ({ name: "reach", outcome, message: "" }));
  const state: StorageState = { checked: "", checks, is_good };
  expect(standingOf(state)).toBe(standing);
});
