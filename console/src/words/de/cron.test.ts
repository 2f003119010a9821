import { expect, test } from "vitest";
import { reads } from "./cron";

test.each([
  ["every minute, UTC", "jede Minute, UTC"],
  ["at minute 15 of every hour", "zur Minute 15 jeder Stunde"],
  ["at minutes 0, 15, 30 and 45 of every hour", "zu den Minuten 0, 15, 30 und 45 jeder Stunde"],
  [
    "at every 7th minute from 0 to 56 of every hour",
    "zu jeder 7. Minute von 0 bis 56 jeder Stunde",
  ],
  ["every minute of the hours 9 to 17 every day", "jede Minute der Stunden 9 bis 17 jeden Tag"],
  ["at 02:30 and 14:30 every day", "um 02:30 und 14:30 Uhr jeden Tag"],
  [
    "at 02:30 every day from Monday to Friday, Europe/Berlin",
    "um 02:30 Uhr jeden Tag von Montag bis Freitag, Europe/Berlin",
  ],
  ["at 02:30 every Tuesday and Thursday", "um 02:30 Uhr jeden Dienstag und Donnerstag"],
  [
    "at 02:30 on the first Monday of each month, Europe/Berlin",
    "um 02:30 Uhr am ersten Montag jedes Monats, Europe/Berlin",
  ],
  [
    "at 00:00 on days 1, 5 to 9 and 20 of March and May",
    "um 00:00 Uhr an den Tagen 1, 5 bis 9 und 20 im März und Mai",
  ],
  [
    "at 00:00 on the day from Monday to Friday nearest to day 15 of each month",
    "um 00:00 Uhr am Tag von Montag bis Freitag, der dem 15. am nächsten liegt, jedes Monats",
  ],
  [
    "at 06:00 on the last day of each month and every Sunday",
    "um 06:00 Uhr am letzten Tag jedes Monats und jeden Sonntag",
  ],
  [
    "at 06:00 on day 31 of each month, where there is one, and also every Friday, UTC",
    "um 06:00 Uhr am 31. jedes Monats, der ihn hat, und außerdem jeden Freitag, UTC",
  ],
  [
    "at 12:00 every day in June, July and August",
    "um 12:00 Uhr jeden Tag im Juni, Juli und August",
  ],
])("%s is in German: %s", (english, german) => {
  expect(reads(english)).toBe(german);
});
