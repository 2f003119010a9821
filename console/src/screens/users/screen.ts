import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";
import { calledOf } from "../../parts/filters/NameFilter";

export const list = createRoute({
  getParentRoute: () => shell,
  path: "/users",
  validateSearch: calledOf,
  component: lazyRouteComponent(() => import("./List"), "List"),
});

export const users = screen({
  name: "users",
  home: "/users",
  group: "system",
  needs: "users",
  routes: [list],
});
