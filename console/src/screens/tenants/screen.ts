import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";
import { calledOf } from "../../parts/filters/NameFilter";

export const list = createRoute({
  getParentRoute: () => shell,
  path: "/tenants",
  validateSearch: calledOf,
  component: lazyRouteComponent(() => import("./List"), "List"),
});

export const detail = createRoute({
  getParentRoute: () => shell,
  path: "/tenants/$id",
  component: lazyRouteComponent(() => import("./Detail"), "Detail"),
});

export const tenants = screen({
  name: "tenants",
  home: "/tenants",
  group: "system",
  needs: "users",
  routes: [list, detail],
});
