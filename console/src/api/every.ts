interface Page<T> {
  items: T[];
  next?: string | null;
}

/** The most that the server gives at once. */
export const LONG_PAGE = 1000;

/** All pages of a list, one after the other: no list ends where a page does. */
export async function every<T, P extends Page<T>>(
  page: (query: { limit: number; cursor?: string }) => Promise<P & Page<T>>,
): Promise<{ items: T[] }> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const got = await page({ limit: LONG_PAGE, cursor });
    items.push(...got.items);
    cursor = got.next ?? undefined;
  } while (cursor !== undefined);
  return { items };
}
