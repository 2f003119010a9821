import type { Health, Status, Warning } from "../../api/types";
import type { Standing } from "../../parts/state/State";

/** Warnings that mean: a restore would fail, or there would be nothing to restore. */
export const SERIOUS: ReadonlySet<Warning["code"]> = new Set([
  "replaced",
  "no-full",
  "storage",
  "never-captured",
]);

/** Those first that mean so. */
export const seriousFirst = (warnings: Warning[]): Warning[] =>
  [...warnings].sort(
    (one, other) => Number(SERIOUS.has(other.code)) - Number(SERIOUS.has(one.code)),
  );

export const HEALTHS: Record<Health, Standing> = {
  good: "good",
  attention: "attention",
  failed: "failed",
  never: "failed",
  unprotected: "none",
};

export interface Answer {
  /** How many resources can be restored, of how many that are to be protected. */
  good: number;
  all: number;
  standing: Standing;
  /** Another manager leads: what this one knows is of before, and nothing is said of now. */
  isReplaced: boolean;
}

export function answerOf({ counts, warnings }: Status): Answer {
  const all = counts.good + counts.attention + counts.failed + counts.never;
  const isSerious =
    counts.never + counts.failed > 0 || warnings.some(({ code }) => SERIOUS.has(code));
  const isQuiet = warnings.length === 0 && counts.attention === 0;
  return {
    isReplaced: warnings.some(({ code }) => code === "replaced"),
    good: all - counts.never,
    all,
    standing: isSerious ? "failed" : isQuiet ? "good" : "attention",
  };
}
