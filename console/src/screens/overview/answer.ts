import type { Status, Warning } from "../../api/types";
import type { Standing } from "../../parts/state/State";

/** Warnings that mean: a restore would fail, or there would be nothing to restore. */
export const SERIOUS: ReadonlySet<Warning["code"]> = new Set([
  "replaced",
  "no-full",
  "storage",
  "never-captured",
]);

export interface Answer {
  /** How many resources can be restored, of how many that are to be protected. */
  good: number;
  all: number;
  /** Of the newest good snapshots of each, the oldest: nothing lost is older than that. */
  oldest: string | undefined;
  standing: Standing;
}

export function answerOf({ resources, warnings }: Status): Answer {
  const wanted = resources.filter(({ is_protected }) => is_protected);
  const times = wanted.flatMap(({ last_good }) => (last_good ? [last_good] : []));
  const [good, all] = [times.length, wanted.length];
  const isSerious = warnings.some(({ code }) => SERIOUS.has(code));
  const standing = good < all || isSerious ? "failed" : warnings.length > 0 ? "attention" : "good";
  return { good, all, oldest: times.sort()[0], standing };
}
