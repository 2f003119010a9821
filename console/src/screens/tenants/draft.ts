import type { Tenant } from "../../api/types";

type Spec = Tenant["spec"];

export interface Draft {
  name: string;
  description: string;
  isEntitled: boolean;
  maySnapshot: boolean;
  mayRestore: boolean;
  /** In GiB; empty: no limit. */
  quota: string;
  atOnce: string;
  lockDays: string;
  /** What this form does not show stays as it is. */
  rest: Spec;
}

const GIB = 1024 ** 3;

export function draftOf(name: string, spec: Spec): Draft {
  const quota = spec.quota_bytes;
  return {
    name,
    description: spec.description ?? "",
    isEntitled: spec.is_entitled ?? true,
    maySnapshot: spec.may_snapshot ?? true,
    mayRestore: spec.may_restore ?? true,
    quota: typeof quota === "number" ? String(Math.round((quota / GIB) * 1000) / 1000) : "",
    atOnce: written(spec.runs_at_once),
    lockDays: written(spec.lock_days_at_most),
    rest: spec,
  };
}

export function specOf(draft: Draft): Spec {
  const quota = Number(draft.quota.replace(",", "."));
  return {
    ...draft.rest,
    description: draft.description,
    is_entitled: draft.isEntitled,
    may_snapshot: draft.maySnapshot,
    may_restore: draft.mayRestore,
    quota_bytes: draft.quota.trim() && quota >= 0 ? Math.round(quota * GIB) : null,
    ...(isCount(draft.atOnce) && { runs_at_once: Number(draft.atOnce) }),
    ...(isCount(draft.lockDays) && { lock_days_at_most: Number(draft.lockDays) }),
  };
}

const written = (value: number | undefined): string => (value === undefined ? "" : String(value));
const isCount = (text: string): boolean => /^\d+$/.test(text.trim());
