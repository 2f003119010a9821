import type { Frequency } from "../../api/types";
import type { Words } from "../index";
import { reads } from "./cron";

const WEEKDAYS: Words["times"]["weekdays"] = {
  monday: "Montag",
  tuesday: "Dienstag",
  wednesday: "Mittwoch",
  thursday: "Donnerstag",
  friday: "Freitag",
  saturday: "Samstag",
  sunday: "Sonntag",
};

const MONTHS = [
  "Januar",
  "Februar",
  "März",
  "April",
  "Mai",
  "Juni",
  "Juli",
  "August",
  "September",
  "Oktober",
  "November",
  "Dezember",
];

/** Nothing of a cron expression: that is read by the server. */
function says(is: Frequency): string | undefined {
  if ("hourly" in is) return `jede Stunde, zur Minute ${is.hourly.minute ?? 0}`;
  if ("daily" in is) return `jeden Tag um ${is.daily.time} Uhr`;
  if ("weekly" in is) return `jeden ${WEEKDAYS[is.weekly.weekday]} um ${is.weekly.time} Uhr`;
  if ("monthly" in is) return `an jedem ${is.monthly.day}. des Monats um ${is.monthly.time} Uhr`;
  if ("yearly" in is) {
    return `jedes Jahr am ${is.yearly.day}. ${MONTHS[is.yearly.month - 1]} um ${is.yearly.time} Uhr`;
  }
  return undefined;
}

export const times: Words["times"] = {
  frequency: "Wie oft",
  presets: {
    hourly: "Jede Stunde",
    daily: "Jeden Tag",
    weekly: "Jede Woche",
    monthly: "Jeden Monat",
    yearly: "Jedes Jahr",
    cron: "Nach einem Cron-Ausdruck",
  },
  says,
  reads,
  minute: "Zur Minute",
  weekday: "Wochentag",
  day: "Tag des Monats",
  dayHelp: "31 heißt in kürzeren Monaten: der letzte Tag.",
  month: "Monat",
  time: "Um",
  cron: "Cron-Ausdruck",
  cronHelp: "Minute, Stunde, Tag des Monats, Monat, Wochentag: 30 2 * * MON-FRI",
  zone: "Zeitzone",
  from: "Von",
  to: "Bis",
  window: (n) => `Fenster ${n}`,
  addWindow: "Fenster hinzufügen",
  removeWindow: "Entfernen",
  everyDay: "Keiner gewählt: jeden Tag.",
  weekdays: WEEKDAYS,
  shortWeekdays: {
    monday: "Mo",
    tuesday: "Di",
    wednesday: "Mi",
    thursday: "Do",
    friday: "Fr",
    saturday: "Sa",
    sunday: "So",
  },
  months: MONTHS,
};
