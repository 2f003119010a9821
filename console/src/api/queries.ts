import {
  hashKey,
  type InfiniteData,
  infiniteQueryOptions,
  queryOptions,
} from "@tanstack/react-query";
import { api, ask } from "./client";
import { every, LONG_PAGE } from "./every";
import type { LogLine, RunKind, RunState, SnapshotScope } from "./types";
import { askWho } from "./who";

/**
 * What can be asked for, each under one key whose first word is the kind of object. The stream of
 * events names kinds, and what is known of a kind is asked for again (see live.ts).
 */
const PAGE = 200;

export const whoami = queryOptions({
  queryKey: ["whoami"],
  queryFn: askWho,
  staleTime: Number.POSITIVE_INFINITY,
  retry: false,
});

export const status = (tenant?: string) =>
  queryOptions({
    queryKey: ["status", tenant],
    queryFn: () => ask(api.GET("/api/v1/status", { params: { query: { tenant } } })),
  });

/** The worst first. */
export const standings = (tenant?: string) =>
  infiniteQueryOptions({
    queryKey: ["status", "resources", tenant],
    queryFn: ({ pageParam }) =>
      ask(
        api.GET("/api/v1/status/resources", {
          params: { query: { tenant, limit: PAGE, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });

/** Of those that have this in their names; of all without. */
export const standingOf = (name: string) =>
  queryOptions({
    queryKey: ["status", "resource", name],
    queryFn: () =>
      every((page) =>
        ask(
          api.GET("/api/v1/status/resources", {
            params: { query: { q: name || undefined, ...page } },
          }),
        ),
      ),
  });

export const days = (zone: string, count: number) =>
  queryOptions({
    queryKey: ["status", "days", zone, count],
    queryFn: () =>
      ask(api.GET("/api/v1/status/days", { params: { query: { zone, days: count } } })),
  });

export interface SnapshotsAsked {
  tenant?: string;
  scope?: SnapshotScope;
  resource?: string;
  /** In the name or note, or at the beginning of the id. */
  q?: string;
}

const isSameBut = (asked: SnapshotsAsked, before: SnapshotsAsked | undefined) =>
  before !== undefined && hashKey([{ ...asked, q: "" }]) === hashKey([{ ...before, q: "" }]);

/**
 * The first page is there soon, those after it are long: whoever scrolls so far goes on. With filters that
 * only this side knows, long pages are looked through from the beginning.
 */
export const snapshots = (asked: SnapshotsAsked, limit = PAGE) =>
  infiniteQueryOptions({
    queryKey: ["snapshot", "list", asked, limit],
    queryFn: ({ pageParam }) =>
      ask(
        api.GET("/api/v1/snapshots", {
          params: { query: { ...asked, limit: pageParam ? LONG_PAGE : limit, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    // Comparing all that is there with itself, for each page that comes, would take longer with each.
    structuralSharing: false,
    // While one types; what another tab or resource has is never shown as that of this one.
    placeholderData: (before, query) =>
      isSameBut(asked, query?.queryKey[2] as SnapshotsAsked | undefined) ? before : undefined,
  });

export const snapshot = (id: string) =>
  queryOptions({
    queryKey: ["snapshot", "one", id],
    queryFn: () => ask(api.GET("/api/v1/snapshots/{id}", { params: { path: { id } } })),
  });

export const snapshotItems = (id: string) =>
  queryOptions({
    queryKey: ["snapshot", "items", id],
    queryFn: () => ask(api.GET("/api/v1/snapshots/{id}/items", { params: { path: { id } } })),
    staleTime: Number.POSITIVE_INFINITY,
  });

export interface RunsAsked {
  tenant?: string;
  kind?: RunKind;
  state?: RunState;
}

export const runs = (asked: RunsAsked, limit = PAGE) =>
  infiniteQueryOptions({
    queryKey: ["run", "list", asked, limit],
    queryFn: ({ pageParam }) =>
      ask(api.GET("/api/v1/runs", { params: { query: { ...asked, limit, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });

export const run = (id: string) =>
  queryOptions({
    queryKey: ["run", "one", id],
    queryFn: () => ask(api.GET("/api/v1/runs/{id}", { params: { path: { id } } })),
  });

export const runLog = (id: string) =>
  queryOptions({
    queryKey: ["run", "log", id],
    queryFn: async () => {
      const lines: LogLine[] = [];
      for (;;) {
        const query = { limit: LONG_PAGE, after: lines.at(-1)?.n };
        const page = await ask(
          api.GET("/api/v1/runs/{id}/log", { params: { path: { id }, query } }),
        );
        lines.push(...page);
        if (page.length < LONG_PAGE) return lines;
      }
    },
  });

export const tenants = queryOptions({
  queryKey: ["tenant", "list"],
  queryFn: () => every((query) => ask(api.GET("/api/v1/tenants", { params: { query } }))),
});

export const resources = queryOptions({
  queryKey: ["resource", "list"],
  queryFn: () => every((query) => ask(api.GET("/api/v1/resources", { params: { query } }))),
});

export const storages = queryOptions({
  queryKey: ["storage", "list"],
  queryFn: () => every((query) => ask(api.GET("/api/v1/storages", { params: { query } }))),
});

export const storageState = (id: string) =>
  queryOptions({
    queryKey: ["storage", "state", id],
    queryFn: () => ask(api.GET("/api/v1/storages/{id}/state", { params: { path: { id } } })),
  });

export const profiles = queryOptions({
  queryKey: ["profile", "list"],
  queryFn: () => every((query) => ask(api.GET("/api/v1/profiles", { params: { query } }))),
});

export const agents = queryOptions({
  queryKey: ["agent", "list"],
  queryFn: () => every((query) => ask(api.GET("/api/v1/agents", { params: { query } }))),
});

export const connectors = queryOptions({
  queryKey: ["connector", "list"],
  queryFn: () => every((query) => ask(api.GET("/api/v1/connectors", { params: { query } }))),
});

/** All rows of the pages that were asked for so far. */
export function rowsOf<T>(data: InfiniteData<{ items: T[] }> | undefined): T[] {
  return data?.pages.flatMap((page) => page.items) ?? [];
}
