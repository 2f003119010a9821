import type { InfiniteData } from "@tanstack/react-query";

/** Pages of a long list, as far as they were asked for, and how each was. */
interface Row {
  id?: string;
  run?: { id: string };
}
export interface Page {
  items: Row[];
  next?: string | null;
}
export type Pages = InfiniteData<Page, string | undefined>;

/** The first and the last row that are in sight. */
export type Sight = readonly [from: number, to: number];

const idOf = (row: Row): string => row.id ?? row.run?.id ?? JSON.stringify(row);

/** Which pages hold what is in sight; the first one always does: what is new comes there. */
export function pagesIn(pages: Page[], [from, to]: Sight): number[] {
  let begin = 0;
  return [...pages.entries()].flatMap(([at, { items }]) => {
    const end = begin + items.length;
    const isIn = at === 0 || (from < end && to >= begin);
    begin = end;
    return isIn ? [at] : [];
  });
}

/**
 * A page as it is now, with the same end as before, since the one after it begins there. None: so much is
 * new that what lies between is not known.
 */
export function joined(old: Page, fresh: Page, following: Page | undefined): Page | undefined {
  if (!following) return fresh;
  const beyond = new Set(following.items.map(idOf));
  const end = fresh.items.findIndex((row) => beyond.has(idOf(row)));
  if (end >= 0) return { ...old, items: fresh.items.slice(0, end) };
  const last = fresh.items.at(-1);
  const known = last ? old.items.findIndex((row) => idOf(row) === idOf(last)) : -1;
  if (known < 0) return undefined;
  return { ...old, items: [...fresh.items, ...old.items.slice(known + 1)] };
}
