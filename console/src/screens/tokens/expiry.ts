/** Until the end of a day, on the clock of whoever chose it; without one until it is deleted. */
export function expiryOf(day: string): string | null {
  const found = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day);
  if (!found) return null;
  const [, year, month, date] = found.map(Number);
  return new Date(year ?? 0, (month ?? 1) - 1, date, 23, 59, 59).toISOString();
}
