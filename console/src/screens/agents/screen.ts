import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";

export const list = createRoute({
  getParentRoute: () => shell,
  path: "/agents",
  validateSearch: (search): { join?: true } => ({ join: search.join === true ? true : undefined }),
  component: lazyRouteComponent(() => import("./List"), "List"),
});

export const detail = createRoute({
  getParentRoute: () => shell,
  path: "/agents/$id",
  component: lazyRouteComponent(() => import("./Detail"), "Detail"),
});

export const agents = screen({
  name: "agents",
  home: "/agents",
  group: "system",
  needs: "system",
  routes: [list, detail],
});
