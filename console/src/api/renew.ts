import type { Query, QueryClient, QueryKey } from "@tanstack/react-query";
import { joined, type Page, type Pages, pagesIn, type Sight } from "./pages";

/** Of so many pages all are asked for again; of more only the first, and those in sight. */
const FEW = 2;

const sights = new Map<string, Sight>();
/** What may have changed since it was asked for. */
const doubtful = new WeakSet<Page>();

type AskPage = (of: { pageParam: string | undefined }) => Promise<Page>;

const pagesOf = (query: Query): Pages | undefined => {
  const data = query.state.data as Partial<Pages> | undefined;
  return data?.pages && data.pageParams ? (data as Pages) : undefined;
};
const isLong = (query: Query): boolean => (pagesOf(query)?.pages.length ?? 0) > FEW;

/** Asks again for what is on the screen, and begins with a key; the rest is asked for when it is looked at. */
export function askAgain(client: QueryClient, queryKey: QueryKey = []): void {
  for (const query of client.getQueryCache().findAll({ queryKey })) {
    if (!isLong(query)) continue;
    if (!query.isActive()) cut(client, query);
    else if (sights.has(query.queryHash)) renew(client, query);
  }
  client.invalidateQueries({
    queryKey,
    predicate: (query) => !isLong(query) || !sights.has(query.queryHash),
  });
}

/** Nobody looks: whoever comes back begins with the first page. */
function cut(client: QueryClient, query: Query) {
  client.setQueryData<Pages>(
    query.queryKey,
    (now) => now && { pages: now.pages.slice(0, 1), pageParams: now.pageParams.slice(0, 1) },
  );
}

function renew(client: QueryClient, query: Query) {
  for (const page of pagesOf(query)?.pages ?? []) doubtful.add(page);
  renewSeen(client, query, true);
}

function renewSeen(client: QueryClient, query: Query, withFirst: boolean) {
  const sight = sights.get(query.queryHash);
  const known = pagesOf(query);
  if (!sight || !known) return;
  for (const at of pagesIn(known.pages, sight)) {
    const page = known.pages[at];
    if (page && doubtful.has(page) && (at > 0 || withFirst)) renewPage(client, query, page, at);
  }
}

async function renewPage(client: QueryClient, query: Query, old: Page, at: number) {
  const pageParam = pagesOf(query)?.pageParams[at];
  // Once is enough, however often it comes into sight meanwhile.
  doubtful.delete(old);
  const fresh = await (query.options.queryFn as unknown as AskPage)({ pageParam }).catch(() => {
    doubtful.add(old);
  });
  if (!fresh) return;
  client.setQueryData<Pages>(query.queryKey, (now) => {
    const place = now?.pages.indexOf(old) ?? -1;
    if (!now || place < 0) return now;
    const page = joined(old, fresh, now.pages[place + 1]);
    if (!page) return { pages: [fresh], pageParams: [undefined] };
    return { ...now, pages: now.pages.with(place, page) };
  });
}

/** Tells which rows of a list are in sight; what is doubtful of them is asked for. */
export function see(client: QueryClient, hash: string, sight: Sight | undefined): void {
  if (!sight) {
    sights.delete(hash);
    return;
  }
  sights.set(hash, sight);
  const query = client.getQueryCache().get(hash);
  if (query && isLong(query)) renewSeen(client, query, false);
}
