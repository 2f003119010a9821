import { QueryClient } from "@tanstack/react-query";
import { createRouter } from "@tanstack/react-router";
import { Problem } from "../api/problem";
import { root, shell } from "./root";
import { screens } from "./screens";

const TRIES = 2;

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      // The stream says when something changed; until then it did not.
      staleTime: 60_000,
      retry: (failures, error) => error instanceof Problem && error.isPassing && failures < TRIES,
    },
    mutations: { networkMode: "always" },
  },
});

const tree = root.addChildren([shell.addChildren(routesOf())]);

function routesOf() {
  const [
    overview,
    snapshots,
    schedules,
    resources,
    runs,
    storages,
    agents,
    connectors,
    tenants,
    users,
    tokens,
    audit,
    settings,
  ] = screens;
  return [
    ...overview.routes,
    ...snapshots.routes,
    ...schedules.routes,
    ...resources.routes,
    ...runs.routes,
    ...storages.routes,
    ...agents.routes,
    ...connectors.routes,
    ...tenants.routes,
    ...users.routes,
    ...tokens.routes,
    ...audit.routes,
    ...settings.routes,
  ] as const;
}

export const router = createRouter({
  routeTree: tree,
  context: { client },
  defaultPreload: "intent",
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
