import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, createRoute } from "@tanstack/react-router";
import { Crash } from "./Crash";
import { openedOf } from "./dialog";
import { NowhereAtAll } from "./Nowhere";
import { Shell } from "./Shell";

export interface Known {
  client: QueryClient;
}

export const root = createRootRouteWithContext<Known>()({
  notFoundComponent: NowhereAtAll,
  errorComponent: Crash,
});

/** All screens lie in it: who is not logged in sees none of them. */
export const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  validateSearch: openedOf,
  component: Shell,
});
