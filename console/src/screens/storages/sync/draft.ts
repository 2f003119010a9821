import type { SyncRule } from "../../../api/types";
import { draftOf, PERIOD, type PeriodDraft, periodOf } from "../../../parts/period/period";

export interface Draft {
  name: string;
  from: string;
  to: string;
  note: string;
  isEnabled: boolean;
  period: PeriodDraft;
}

/** A rule as it is, or one that is to be made, with copies to a storage. */
export function syncDraft(rule: SyncRule | undefined, to: string, zone: string): Draft {
  if (!rule) {
    const period = { ...PERIOD, name: "nightly", time: "04:30", retention: "1y", zone };
    return { name: "", from: "", to, note: "", isEnabled: true, period };
  }
  const { spec } = rule;
  return {
    name: rule.name,
    from: spec.from ?? "",
    to: spec.to,
    note: spec.note ?? "",
    isEnabled: spec.enabled ?? true,
    period: draftOf(spec.period),
  };
}

export function specOf(draft: Draft): SyncRule["spec"] {
  return {
    enabled: draft.isEnabled,
    from: draft.from || null,
    to: draft.to,
    note: draft.note,
    period: periodOf(draft.period),
  };
}

/** Rules that copy to or from a storage. Those without a source copy from all others. */
export const touches = ({ spec }: SyncRule, storage: string): boolean =>
  spec.to === storage || spec.from === storage || !spec.from;
