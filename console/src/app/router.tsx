import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { createRouter } from "@tanstack/react-router";
import { Problem } from "../api/problem";
import { whoami } from "../api/queries";
import { Crash } from "./Crash";
import { root, shell } from "./root";
import type { Screen } from "./screen";
import { screens } from "./screens";

const TRIES = 2;

/** Whoever is told that he is not logged in is not inside any more, whatever he asked for. */
const onError = (error: Error) => {
  if (!(error instanceof Problem) || error.status !== 401) return;
  if (client.getQueryState(whoami.queryKey)?.status !== "success") return;
  client.invalidateQueries({ queryKey: whoami.queryKey });
};

export const client: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    queries: {
      // The stream says when something changed; until then it did not.
      staleTime: 60_000,
      retry: (failures, error) => error instanceof Problem && error.isPassing && failures < TRIES,
    },
    mutations: { networkMode: "always" },
  },
});

/** The routes of all screens, each with its own type: links are checked. */
type RoutesOf<S extends readonly Screen[]> = S extends readonly [
  infer First extends Screen,
  ...infer Rest extends readonly Screen[],
]
  ? [...First["routes"], ...RoutesOf<Rest>]
  : [];

const routes = screens.flatMap((each: Screen) => [...each.routes]) as unknown as RoutesOf<
  typeof screens
>;
// What shows all parts is no part of what is built, nor of the types of links.
const dev = (import.meta.env.DEV ? [(await import("../dev/route")).dev] : []) as [];
const tree = root.addChildren([shell.addChildren(routes), ...dev]);

export const router = createRouter({
  routeTree: tree,
  context: { client },
  defaultPreload: "intent",
  // Of each screen: the rest stays.
  defaultErrorComponent: Crash,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
