import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";
import { picksOf } from "./picked";
import { comparedOf, type Place, placeOf } from "./place";

export const home = createRoute({
  getParentRoute: () => shell,
  path: "/browse",
  component: lazyRouteComponent(() => import("./Home"), "Home"),
});

export const tree = createRoute({
  getParentRoute: () => shell,
  path: "/browse/$id",
  validateSearch: (search): Place & { pick?: string[] } => ({
    ...placeOf(search),
    pick: picksOf(search.pick),
  }),
  component: lazyRouteComponent(() => import("./Tree"), "Tree"),
});

export const versions = createRoute({
  getParentRoute: () => shell,
  path: "/browse/$id/versions",
  validateSearch: placeOf,
  component: lazyRouteComponent(() => import("./Versions"), "Versions"),
});

export const compare = createRoute({
  getParentRoute: () => shell,
  path: "/browse/compare",
  validateSearch: comparedOf,
  component: lazyRouteComponent(() => import("./Compare"), "Compare"),
});

export const browse = screen({
  name: "browse",
  home: "/browse",
  group: "protect",
  needs: "see",
  routes: [home, tree, versions, compare],
});
