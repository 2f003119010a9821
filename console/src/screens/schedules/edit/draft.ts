import type { ProfileSpec, Scope } from "../../../api/types";
import {
  PERIOD,
  type PeriodDraft,
  draftOf as periodDraft,
  periodOf,
} from "../../../parts/period/period";

/** What is being written about a schedule. */
export interface Draft {
  name: string;
  isEnabled: boolean;
  note: string;
  scope: "full" | "partial";
  resources: string[];
  tags: string;
  storage: string;
  periods: PeriodDraft[];
  /** What this form knows nothing of stays as it is. */
  rest: Partial<ProfileSpec>;
}

/** The spec in lists is described without its periods; they are there. */
export type Told = Omit<ProfileSpec, "periods" | "scope"> & { periods: unknown[]; scope: unknown };

export function draftOf(name: string, told: Told): Draft {
  const { enabled, note, scope, storage, periods, ...rest } = told as ProfileSpec;
  const isPartial = typeof scope === "object";
  return {
    name,
    isEnabled: enabled ?? true,
    note: note ?? "",
    scope: isPartial ? "partial" : "full",
    resources: isPartial ? (scope.partial.resources ?? []) : [],
    tags: isPartial ? (scope.partial.tags ?? []).join(", ") : "",
    storage: storage ?? "",
    periods: periods.map(periodDraft),
    rest: isPartial || scope === "full" ? rest : { ...rest, scope },
  };
}

export function freshDraft(scope: Draft["scope"], zone: string): Draft {
  return {
    name: "",
    isEnabled: true,
    note: "",
    scope,
    resources: [],
    tags: scope === "partial" ? "protected" : "",
    storage: "",
    periods: [{ ...PERIOD, zone }],
    rest: {},
  };
}

export function specOf(draft: Draft): ProfileSpec {
  return {
    scope: scopeOf(draft),
    ...draft.rest,
    enabled: draft.isEnabled,
    note: draft.note,
    storage: draft.storage || null,
    periods: draft.periods.map(periodOf),
  };
}

function scopeOf({ scope, resources, tags }: Draft): Scope {
  if (scope === "full") return "full";
  return { partial: { resources, tags: tagsOf(tags) } };
}

export const tagsOf = (text: string): string[] => text.split(/[\s,]+/).filter((tag) => tag !== "");

/** A further period: as the last one, under a name that none has. */
export function further(periods: PeriodDraft[], zone: string): PeriodDraft {
  const last = periods.at(-1) ?? { ...PERIOD, zone };
  const names = new Set(periods.map(({ name }) => name));
  let n = periods.length + 1;
  while (names.has(`period-${n}`)) n += 1;
  return { ...last, name: `period-${n}` };
}
