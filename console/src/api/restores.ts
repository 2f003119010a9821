import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ask } from "./client";
import { noneIfAbsent } from "./problem";
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

/** What is agreed to; it never changes. None: the server does not have it any more. */
export const plan = (id: string) =>
  queryOptions({
    queryKey: ["plan", id],
    queryFn: (): Promise<RestorePlan | null> =>
      ask(api.GET("/api/v1/restores/{id}/plan", { params: { path: { id } } })).catch(noneIfAbsent),
    staleTime: Number.POSITIVE_INFINITY,
  });
