import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ask } from "./client";
import type { At } from "./file";
import { namedBy, type Wanted } from "./wanted";

/** What snapshots hold: it never changes, so it is asked for once. */
const PAGE = 1000;
const FOUND = 500;
const staleTime = Number.POSITIVE_INFINITY;

export const listing = (id: string, at: At) =>
  infiniteQueryOptions({
    queryKey: ["content", "tree", id, at],
    queryFn: ({ pageParam }) =>
      ask(
        api.GET("/api/v1/snapshots/{id}/tree", {
          params: { path: { id }, query: { ...at, limit: PAGE, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    staleTime,
  });

export const partitions = (id: string, disk: string) =>
  queryOptions({
    queryKey: ["content", "partitions", id, disk],
    queryFn: () =>
      ask(
        api.GET("/api/v1/snapshots/{id}/partitions", { params: { path: { id }, query: { disk } } }),
      ),
    staleTime,
  });

export const found = (id: string, contains: string, path: string | undefined) =>
  queryOptions({
    queryKey: ["content", "search", id, contains, path],
    queryFn: () =>
      ask(
        api.GET("/api/v1/snapshots/{id}/search", {
          params: { path: { id }, query: { ...namedBy(contains), path, limit: FOUND } },
        }),
      ),
    staleTime,
  });

/** In all snapshots, the newest first; each page says how far it was looked. */
export const sightings = ({ q = "", ...where }: Wanted) =>
  infiniteQueryOptions({
    queryKey: ["snapshot", "sightings", q, where],
    queryFn: ({ pageParam }) =>
      ask(
        api.GET("/api/v1/search", {
          params: { query: { ...namedBy(q), ...where, limit: FOUND, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    enabled: q !== "",
  });

export const preview = (id: string, at: At) =>
  queryOptions({
    queryKey: ["content", "preview", id, at],
    queryFn: () =>
      ask(
        api.GET("/api/v1/snapshots/{id}/preview", { params: { path: { id }, query: { ...at } } }),
      ),
    staleTime,
  });

export const versions = (at: At, tenant: string) =>
  queryOptions({
    queryKey: ["snapshot", "versions", at, tenant],
    queryFn: () => ask(api.GET("/api/v1/versions", { params: { query: { ...at, tenant } } })),
  });

export const differences = (from: string, to: string, at: At) =>
  infiniteQueryOptions({
    queryKey: ["content", "diff", from, to, at],
    queryFn: ({ pageParam }) =>
      ask(
        api.GET("/api/v1/diff", {
          params: { query: { from, to, ...at, limit: PAGE, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    staleTime,
  });

export const differenceCounts = (from: string, to: string, at: At) =>
  queryOptions({
    queryKey: ["content", "diff-counts", from, to, at],
    queryFn: () =>
      ask(api.GET("/api/v1/diff", { params: { query: { from, to, ...at, summary: true } } })),
    staleTime,
  });
