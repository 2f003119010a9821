import type { Check, StorageState } from "../../api/types";
import type { Standing } from "../../parts/state/State";

const OF_CHECK: Record<Check["outcome"], Standing> = {
  pass: "good",
  warn: "attention",
  block: "failed",
};
export const standingOfCheck = (check: Check): Standing => OF_CHECK[check.outcome];

/** How a storage stands: as its worst check. Without one nobody looked yet. */
export function standingOf(state: StorageState): Standing {
  if (state.checks.some(({ outcome }) => outcome === "block") || !state.is_good) return "failed";
  if (state.checks.length === 0) return "none";
  return state.checks.some(({ outcome }) => outcome === "warn") ? "attention" : "good";
}
