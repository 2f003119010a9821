import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";

export const list = createRoute({
  getParentRoute: () => shell,
  path: "/storages",
  validateSearch: (search): { new?: true } => ({ new: search.new === true ? true : undefined }),
  component: lazyRouteComponent(() => import("./List"), "List"),
});

export const detail = createRoute({
  getParentRoute: () => shell,
  path: "/storages/$id",
  component: lazyRouteComponent(() => import("./Detail"), "Detail"),
});

export const storages = screen({
  name: "storages",
  home: "/storages",
  group: "system",
  needs: "see",
  routes: [list, detail],
});
