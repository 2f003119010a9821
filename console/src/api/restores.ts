import { infiniteQueryOptions, type QueryClient, queryOptions } from "@tanstack/react-query";
import { api, ask } from "./client";
import type { RestorePlan } from "./types";

const PAGE = 200;

export const restores = infiniteQueryOptions({
  queryKey: ["restore", "list"],
  queryFn: ({ pageParam }) =>
    ask(api.GET("/api/v1/restores", { params: { query: { limit: PAGE, cursor: pageParam } } })),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (page) => page.next ?? undefined,
});

export const restore = (id: string) =>
  queryOptions({
    queryKey: ["restore", "one", id],
    queryFn: () => ask(api.GET("/api/v1/restores/{id}", { params: { path: { id } } })),
  });

/** The command that brings back everything; it names the storage as it is called now. */
export const wholeRestore = (snapshot: string) =>
  queryOptions({
    queryKey: ["snapshot", "recovery", snapshot],
    queryFn: () =>
      ask(api.GET("/api/v1/snapshots/{id}/recovery", { params: { path: { id: snapshot } } })),
  });

const key = (id: string) => `tintype.plan.${id}`;

/**
 * The server tells a plan once, when it is made, and it never changes: it is kept for as long as the
 * window is open, so that a reload shows what is agreed to. None: it was made elsewhere.
 */
export const plan = (id: string) =>
  queryOptions({
    queryKey: ["plan", id],
    queryFn: () => {
      const kept = sessionStorage.getItem(key(id));
      return kept ? (JSON.parse(kept) as RestorePlan) : null;
    },
    staleTime: Number.POSITIVE_INFINITY,
  });

export function keepPlan(client: QueryClient, made: RestorePlan) {
  client.setQueryData(plan(made.run.id).queryKey, made);
  try {
    sessionStorage.setItem(key(made.run.id), JSON.stringify(made));
  } catch {
    // Too large for the browser: then a reload has to plan again.
  }
}
