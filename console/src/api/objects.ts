import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, ask } from "./client";
import { every } from "./every";
import type { ProfileSpec } from "./types";

/** Objects one by one, and what belongs to one of them; keys as in queries.ts. */
const AUDIT_PAGE = 200;
const of = (id: string) => ({ params: { path: { id } } });

export const storage = (id: string) =>
  queryOptions({
    queryKey: ["storage", "one", id],
    queryFn: () => ask(api.GET("/api/v1/storages/{id}", of(id))),
  });

export const storageKeys = (id: string, tenant?: string) =>
  queryOptions({
    queryKey: ["storage", "keys", id, tenant],
    queryFn: () =>
      ask(api.GET("/api/v1/storages/{id}/keys", { params: { path: { id }, query: { tenant } } })),
  });

export const syncs = queryOptions({
  queryKey: ["sync", "list"],
  queryFn: () => every((query) => ask(api.GET("/api/v1/syncs", { params: { query } }))),
});

export const profile = (id: string) =>
  queryOptions({
    queryKey: ["profile", "one", id],
    queryFn: () => ask(api.GET("/api/v1/profiles/{id}", of(id))),
  });

export const readyMade = (zone: string) =>
  queryOptions({
    queryKey: ["profile", "ready-made", zone],
    queryFn: () =>
      ask(api.GET("/api/v1/profiles/ready-made", { params: { query: { time_zone: zone } } })),
    staleTime: Number.POSITIVE_INFINITY,
  });

/** What a profile says, in words; a reading is not kept long, since time goes on. */
export const reading = (spec: ProfileSpec) =>
  queryOptions({
    queryKey: ["profile", "reading", spec],
    queryFn: () => ask(api.POST("/api/v1/profiles/read", { body: spec })),
    retry: false,
  });

export const retentionPreview = (id: string, spec?: ProfileSpec, on?: string) =>
  queryOptions({
    queryKey: ["profile", "preview", id, spec, on],
    queryFn: () =>
      ask(
        api.POST("/api/v1/profiles/preview", {
          body: { profile: id, spec: spec ?? null, on: on ?? null },
        }),
      ),
    retry: false,
  });

export const resource = (id: string) =>
  queryOptions({
    queryKey: ["resource", "one", id],
    queryFn: () => ask(api.GET("/api/v1/resources/{id}", of(id))),
  });

export const agent = (id: string) =>
  queryOptions({
    queryKey: ["agent", "one", id],
    queryFn: () => ask(api.GET("/api/v1/agents/{id}", of(id))),
  });

export const agentState = (id: string) =>
  queryOptions({
    queryKey: ["agent", "state", id],
    queryFn: () => ask(api.GET("/api/v1/agents/{id}/state", of(id))),
    // Nothing is told when an agent goes away: it only is not heard any more.
    refetchInterval: 30_000,
  });

export const tenant = (id: string) =>
  queryOptions({
    queryKey: ["tenant", "one", id],
    queryFn: () => ask(api.GET("/api/v1/tenants/{id}", of(id))),
  });

/** Those that have this in their names, all without; what was found before stands there until then. */
export const tenantsCalled = (q: string | undefined) =>
  queryOptions({
    queryKey: ["tenant", "called", q],
    queryFn: () =>
      every((page) => ask(api.GET("/api/v1/tenants", { params: { query: { ...page, q } } }))),
    placeholderData: keepPreviousData,
  });

export const usersCalled = (q: string | undefined) =>
  queryOptions({
    queryKey: ["user", "called", q],
    queryFn: () =>
      every((page) => ask(api.GET("/api/v1/users", { params: { query: { ...page, q } } }))),
    placeholderData: keepPreviousData,
  });

/** The first few, for whoever types on. */
export const resourcesCalled = (q: string, limit: number) =>
  queryOptions({
    queryKey: ["resource", "called", q, limit],
    queryFn: () => ask(api.GET("/api/v1/resources", { params: { query: { q, limit } } })),
    placeholderData: keepPreviousData,
    enabled: q !== "",
  });

export const users = queryOptions({
  queryKey: ["user", "list"],
  queryFn: () => every((query) => ask(api.GET("/api/v1/users", { params: { query } }))),
});

export const tokens = queryOptions({
  queryKey: ["token", "list"],
  queryFn: () => every((query) => ask(api.GET("/api/v1/tokens", { params: { query } }))),
});

export const user = (id: string) =>
  queryOptions({
    queryKey: ["user", "one", id],
    queryFn: () => ask(api.GET("/api/v1/users/{id}", of(id))),
  });

export const connector = (id: string) =>
  queryOptions({
    queryKey: ["connector", "one", id],
    queryFn: () => ask(api.GET("/api/v1/connectors/{id}", of(id))),
  });

export const sessions = queryOptions({
  queryKey: ["session", "list"],
  queryFn: () => ask(api.GET("/api/v1/sessions")),
});

export const audit = (tenant?: string) =>
  infiniteQueryOptions({
    queryKey: ["audit", "list", tenant],
    queryFn: ({ pageParam }) =>
      ask(
        api.GET("/api/v1/audit", {
          params: { query: { tenant, limit: AUDIT_PAGE, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
