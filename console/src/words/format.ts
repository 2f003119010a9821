import type { Language } from "./index";

/** Numbers and times as people of a language and place write them. Times always show their zone. */
export interface Format {
  bytes: (bytes: number) => string;
  number: (value: number) => string;
  percent: (share: number) => string;
  /** 22 Nov 2026, 14:03 CET */
  moment: (at: Date) => string;
  /** 22 November 2026 */
  day: (at: Date) => string;
  /** Sun 22 */
  shortDay: (at: Date) => string;
  /** 3 hours ago, in 2 days */
  distance: (at: Date, now: Date) => string;
  duration: (seconds: number) => string;
  /** How long something is kept: `1y6m` is 1 year and 6 months. None: for ever, or nothing that is known. */
  retention: (text: string) => string | undefined;
  list: (of: string[]) => string;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["week", 7 * 86_400],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

const LASTING: Record<string, string> = {
  h: "hour",
  d: "day",
  w: "week",
  m: "month",
  y: "year",
};

const made = new Map<Language, Format>();

/** English dates are written as in Britain: no month stands before its day. */
const LOCALES: Record<Language, string> = { en: "en-GB", de: "de-DE" };

export function formatOf(language: Language): Format {
  const known = made.get(language);
  if (known) return known;
  const format = make(LOCALES[language]);
  made.set(language, format);
  return format;
}

function make(locale: string): Format {
  const number = new Intl.NumberFormat(locale);
  const short = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
  const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
  const moment = new Intl.DateTimeFormat(locale, {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
  });
  const day = new Intl.DateTimeFormat(locale, { dateStyle: "long" });
  const shortDay = new Intl.DateTimeFormat(locale, { weekday: "short", day: "numeric" });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  const list = new Intl.ListFormat(locale, { type: "conjunction" });
  const seconds = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
  const lasting = (part: string) =>
    new Intl.NumberFormat(locale, {
      style: "unit",
      unit: LASTING[part.slice(-1).toLowerCase()] ?? "day",
      unitDisplay: "long",
    }).format(Number(part.slice(0, -1)));
  return {
    bytes: (bytes) => {
      const step = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
      return `${(step === 0 ? number : short).format(bytes / 1024 ** step)} ${UNITS[step]}`;
    },
    number: (value) => number.format(value),
    percent: (share) => percent.format(share),
    moment: (at) => moment.format(at),
    day: (at) => day.format(at),
    shortDay: (at) => shortDay.format(at),
    distance: (at, now) => {
      const away = (at.getTime() - now.getTime()) / 1000;
      const step = STEPS.find(([, length]) => Math.abs(away) >= length);
      if (!step) return relative.format(0, "minute");
      return relative.format(Math.round(away / step[1]), step[0]);
    },
    duration: (total) => {
      if (total < 1) return `${seconds.format(total * 1000)} ms`;
      if (total < 60) return `${seconds.format(total)} s`;
      const minutes = Math.floor(total / 60);
      if (minutes < 60) return `${minutes} min ${Math.floor(total % 60)} s`;
      return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
    },
    retention: (text) => {
      const parts = /^(?:\d+[hdwmy])+$/i.test(text.trim()) ? text.match(/\d+[hdwmy]/gi) : null;
      return parts ? list.format(parts.map(lasting)) : undefined;
    },
    list: (of) => list.format(of),
  };
}
