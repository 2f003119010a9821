import type { Check, Restore, RestorePlan, RestoreStanding, Run, Verdict } from "../../api/types";
import type { Standing } from "../../parts/state/State";

/** A check with the name of what it is about. */
export interface NamedCheck extends Check {
  of: string;
}

const WORST_FIRST: Record<Verdict, number> = { block: 0, warn: 1, pass: 2 };

export function checksOf(plan: RestorePlan): NamedCheck[] {
  return plan.items
    .flatMap((item) => item.checks.map((check) => ({ ...check, of: item.name })))
    .sort((one, other) => WORST_FIRST[one.outcome] - WORST_FIRST[other.outcome]);
}

export const VERDICTS: Record<Verdict, Standing> = {
  pass: "good",
  warn: "attention",
  block: "failed",
};

export interface Sums {
  created: number;
  replaced: number;
  refused: number;
  bytes: number;
}

export function sumsOf(plan: RestorePlan): Sums {
  const replaced = plan.items.filter(({ replaces }) => replaces).length;
  return {
    created: plan.items.length - replaced,
    replaced,
    refused: plan.missing.length,
    bytes: plan.items.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** What came of it, as far as the run says. */
export interface Result {
  kept: number;
  missing: number;
  undoPoint?: string;
}

export function resultOf({ result }: Run): Result {
  const told = (typeof result === "object" && result !== null ? result : {}) as Record<
    string,
    unknown
  >;
  const number = (value: unknown) => (typeof value === "number" ? value : 0);
  return {
    kept: number(told.kept),
    missing: number(told.missing),
    undoPoint: typeof told.undo_point === "string" ? told.undo_point : undefined,
  };
}

export const STANDINGS: Record<RestoreStanding, Standing> = {
  planned: "none",
  "going-on": "running",
  done: "good",
  undone: "none",
  interrupted: "failed",
  "followed-up": "none",
};

/** What came of a restore is only as good as its run: one that is done may lack something. */
export function standingOf({ standing, run }: Restore): Standing {
  if (standing !== "done") return STANDINGS[standing];
  if (run.state === "incomplete") return "attention";
  return run.state === "failed" ? "failed" : "good";
}

/** Whether an interrupted one may be gone on with, and taken back; a host that is beyond only goes on. */
export function waysOf({ standing, hosts }: Restore): { resume: boolean; undo: boolean } {
  if (standing !== "interrupted") return { resume: false, undo: false };
  const left = (hosts ?? []).flatMap((host) => (host.left ? [host.left] : []));
  if (left.some(({ is_running }) => is_running)) return { resume: false, undo: false };
  return {
    resume: !left.some(({ is_going_back }) => is_going_back),
    undo: !left.some(({ is_beyond_return }) => is_beyond_return),
  };
}
