import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";
import { askedOf } from "./asked";

export const list = createRoute({
  getParentRoute: () => shell,
  path: "/restore",
  component: lazyRouteComponent(() => import("./List"), "List"),
});

export const begin = createRoute({
  getParentRoute: () => shell,
  path: "/restore/new",
  validateSearch: askedOf,
  component: lazyRouteComponent(() => import("./New"), "New"),
});

export const detail = createRoute({
  getParentRoute: () => shell,
  path: "/restore/$id",
  // All was asked for, so the manager belongs to it.
  validateSearch: (search): { all?: true } => ({ all: search.all === true ? true : undefined }),
  component: lazyRouteComponent(() => import("./Detail"), "Detail"),
});

export const restore = screen({
  name: "restore",
  home: "/restore",
  group: "protect",
  needs: "restore",
  routes: [list, begin, detail],
});
