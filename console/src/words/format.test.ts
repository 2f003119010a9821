import { expect, test } from "vitest";
import { formatOf } from "./format";

const english = formatOf("en");
const german = formatOf("de");

test("sizes have three digits and a unit of 1024", () => {
  expect(english.bytes(0)).toBe("0 B");
  expect(english.bytes(1023)).toBe("1,023 B");
  expect(english.bytes(1024)).toBe("1 KiB");
  expect(english.bytes(1_536_000_000)).toBe("1.43 GiB");
  expect(german.bytes(1_536_000_000)).toBe("1,43 GiB");
});

test("distances are told in the unit that fits", () => {
  const now = new Date("2026-11-22T12:00:00Z");
  const told = (at: string) => english.distance(new Date(at), now);
  expect(told("2026-11-22T11:59:40Z")).toBe("this minute");
  expect(told("2026-11-22T09:00:00Z")).toBe("3 hours ago");
  expect(told("2026-11-24T12:00:00Z")).toBe("in 2 days");
  expect(german.distance(new Date("2026-11-22T09:00:00Z"), now)).toBe("vor 3 Stunden");
});

test("windows are told in milliseconds, runs in hours", () => {
  expect(english.duration(0.0034)).toBe("3.4 ms");
  expect(english.duration(42)).toBe("42 s");
  expect(english.duration(125)).toBe("2 min 5 s");
  expect(english.duration(7260)).toBe("2 h 1 min");
});

test("moments show their zone", () => {
  expect(english.moment(new Date("2026-11-22T12:00:00Z"))).toMatch(/22 Nov 2026.*(UTC|GMT|CE)/);
});

test.each([
  ["1m", "1 month", "1 Monat"],
  ["1y6m", "1 year and 6 months", "1 Jahr und 6 Monate"],
  ["3h", "3 hours", "3 Stunden"],
  [" 4W ", "4 weeks", "4 Wochen"],
  ["forever", undefined, undefined],
  ["some time", undefined, undefined],
])("%s is kept for %s, %s", (text, en, de) => {
  expect(formatOf("en").retention(text)).toBe(en);
  expect(formatOf("de").retention(text)).toBe(de);
});
