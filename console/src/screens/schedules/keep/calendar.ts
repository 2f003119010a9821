import type { PeriodPreview, SnapshotPreview } from "../../../api/types";

const MONTH = /^\d{4}-(0[1-9]|1[0-2])$/;
const DAY = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;
const told = (value: unknown, as: RegExp): string | undefined =>
  typeof value === "string" && as.test(value) ? value : undefined;

export const monthOf = (value: unknown): string | undefined => told(value, MONTH);
export const dayOf = (value: unknown): string | undefined => told(value, DAY);

const two = (value: number): string => String(value).padStart(2, "0");

/** `2026-11-22`, on the clock of whoever looks. */
export const dayName = (date: Date): string =>
  `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;

/** The last moment of a day, on the clock of whoever looks. */
export function endOf(day: string): Date {
  const [year = 0, month = 1, date = 1] = day.split("-").map(Number);
  return new Date(year, month - 1, date, 23, 59, 59, 999);
}

/** The month so many months away. */
export function monthAway(month: string, away: number): string {
  const [year = 0, number = 1] = month.split("-").map(Number);
  const date = new Date(year, number - 1 + away, 1);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}`;
}

/** Weeks from Monday to Sunday; days of other months are left empty. */
export function weeksOf(month: string): (string | undefined)[][] {
  const [year = 0, number = 1] = month.split("-").map(Number);
  const length = new Date(year, number, 0).getDate();
  const before = (new Date(year, number - 1, 1).getDay() + 6) % 7;
  const cells: (string | undefined)[] = [
    ...Array.from({ length: before }, () => undefined),
    ...Array.from({ length }, (_, index) => `${month}-${two(index + 1)}`),
  ];
  while (cells.length % 7 !== 0) cells.push(undefined);
  return Array.from({ length: cells.length / 7 }, (_, week) => cells.slice(week * 7, week * 7 + 7));
}

/** Whether a snapshot, of those that are there now, is there at the end of a day. */
export function isThereOn({ time, after }: SnapshotPreview, day: string): boolean {
  const end = endOf(day);
  if (new Date(time) > end) return false;
  return !after.at || (after.waits_for ?? []).length > 0 || new Date(after.at) > end;
}

export const countOn = (periods: PeriodPreview[], day: string): number =>
  periods.flatMap(({ snapshots }) => snapshots).filter((each) => isThereOn(each, day)).length;
