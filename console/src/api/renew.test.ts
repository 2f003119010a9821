import { hashKey, InfiniteQueryObserver, QueryClient } from "@tanstack/react-query";
import { expect, test, vi } from "vitest";
import { askAgain, see } from "./renew";

const SIZE = 10;

/** A list of numbers from `top` downwards, of which a page begins below its cursor. */
async function listed(pages: number) {
  const server = { top: 100, asked: [] as (string | undefined)[] };
  const client = new QueryClient();
  const queryKey = ["snapshot", "list"];
  const observer = new InfiniteQueryObserver(client, {
    queryKey,
    queryFn: async ({ pageParam }: { pageParam: string | undefined }) => {
      server.asked.push(pageParam);
      const from = pageParam ? Number(pageParam) - 1 : server.top;
      const items = Array.from({ length: SIZE }, (_, n) => ({ id: String(from - n) }));
      return { items, next: String(from - SIZE + 1) };
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next,
  });
  const leave = observer.subscribe(() => undefined);
  await vi.waitFor(() => expect(observer.getCurrentResult().isSuccess).toBe(true));
  for (let n = 1; n < pages; n++) await observer.fetchNextPage();
  server.asked = [];
  const rows = () =>
    observer.getCurrentResult().data?.pages.flatMap(({ items }) => items.map(({ id }) => id)) ?? [];
  return { server, client, queryKey, leave, rows };
}

test("of a short list all is asked for again", async () => {
  const { server, client, rows } = await listed(2);
  server.top = 101;
  askAgain(client, ["snapshot"]);
  await vi.waitFor(() => expect(rows()[0]).toBe("101"));
  expect(server.asked).toHaveLength(2);
});

test("of a long one the first page and what is in sight, and no row is lost or shown twice", async () => {
  const { server, client, queryKey, rows } = await listed(9);
  see(client, hashKey(queryKey), [42, 48]);
  server.top = 103;
  askAgain(client, ["snapshot"]);
  await vi.waitFor(() => expect(rows()).toHaveLength(93));
  expect(server.asked).toEqual([undefined, "61"]);
  expect(rows()).toEqual(Array.from({ length: 93 }, (_, n) => String(103 - n)));
  // What comes into sight later is asked for then, and only once.
  see(client, hashKey(queryKey), [75, 80]);
  see(client, hashKey(queryKey), [75, 80]);
  await vi.waitFor(() => expect(server.asked).toHaveLength(3));
});

test("of one that nobody looks at the first page is kept", async () => {
  const { server, client, queryKey, leave } = await listed(9);
  leave();
  askAgain(client, ["snapshot"]);
  expect(client.getQueryData<{ pages: unknown[] }>(queryKey)?.pages).toHaveLength(1);
  expect(server.asked).toEqual([]);
});
