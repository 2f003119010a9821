import type { Blackout, Frequency, Period, Weekday } from "../../api/types";

export const WEEKDAYS: readonly Weekday[] = [
  "monday",
  "tuesday",
  "wednesday",
  "thursday",
  "friday",
  "saturday",
  "sunday",
];
export const PRESETS = ["hourly", "daily", "weekly", "monthly", "yearly", "cron"] as const;
export type Preset = (typeof PRESETS)[number];

/** What is being written about a period: fields of all presets, so that none is lost on the way. */
export interface PeriodDraft {
  name: string;
  preset: Preset;
  minute: string;
  time: string;
  weekday: Weekday;
  day: string;
  month: string;
  cron: string;
  zone: string;
  retention: string;
  minimum: string;
  quiesce: boolean;
  isImmutable: boolean;
  unlockDays: string;
  jitter: string;
  missed: "once" | "skip";
  blackouts: Blackout[];
}

export const PERIOD: PeriodDraft = {
  name: "daily",
  preset: "daily",
  minute: "0",
  time: "02:30",
  weekday: "sunday",
  day: "1",
  month: "1",
  cron: "30 2 * * MON-FRI",
  zone: "UTC",
  retention: "1m",
  minimum: "1",
  quiesce: true,
  isImmutable: false,
  unlockDays: "7",
  jitter: "0",
  missed: "once",
  blackouts: [],
};

export function draftOf(period: Period): PeriodDraft {
  return {
    ...PERIOD,
    ...frequencyDraft(period.frequency),
    name: period.name,
    zone: period.time_zone ?? PERIOD.zone,
    retention: period.retention ?? PERIOD.retention,
    minimum: String(period.minimum_count ?? PERIOD.minimum),
    quiesce: period.quiesce ?? true,
    isImmutable: Boolean(period.immutable),
    unlockDays: String(period.immutable?.unlock_delay_days ?? PERIOD.unlockDays),
    jitter: String(period.jitter_minutes ?? PERIOD.jitter),
    missed: period.missed ?? PERIOD.missed,
    blackouts: period.blackouts ?? [],
  };
}

function frequencyDraft(is: Frequency): Partial<PeriodDraft> {
  if ("hourly" in is) return { preset: "hourly", minute: String(is.hourly.minute ?? 0) };
  if ("daily" in is) return { preset: "daily", time: is.daily.time };
  if ("weekly" in is) return { preset: "weekly", ...is.weekly };
  if ("monthly" in is) {
    return { preset: "monthly", time: is.monthly.time, day: String(is.monthly.day) };
  }
  if ("yearly" in is) {
    const { time, day, month } = is.yearly;
    return { preset: "yearly", time, day: String(day), month: String(month) };
  }
  return { preset: "cron", cron: is.cron };
}

export function periodOf(draft: PeriodDraft): Period {
  return {
    name: draft.name.trim(),
    frequency: frequencyOf(draft),
    time_zone: draft.zone.trim() || PERIOD.zone,
    retention: draft.retention.trim(),
    minimum_count: count(draft.minimum),
    quiesce: draft.quiesce,
    ...(draft.isImmutable && { immutable: { unlock_delay_days: count(draft.unlockDays) } }),
    jitter_minutes: count(draft.jitter),
    missed: draft.missed,
    ...(draft.blackouts.length > 0 && { blackouts: draft.blackouts }),
  };
}

function frequencyOf({ preset, minute, time, weekday, day, month, cron }: PeriodDraft): Frequency {
  switch (preset) {
    case "hourly":
      return { hourly: { minute: count(minute) } };
    case "daily":
      return { daily: { time } };
    case "weekly":
      return { weekly: { weekday, time } };
    case "monthly":
      return { monthly: { day: count(day), time } };
    case "yearly":
      return { yearly: { month: count(month), day: count(day), time } };
    case "cron":
      return { cron: cron.trim() };
  }
}

/** Only digits are a number here; whatever else is written is none. */
const count = (text: string): number => (/^\d+$/.test(text.trim()) ? Number(text) : 0);
