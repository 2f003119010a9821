import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";

export const list = createRoute({
  getParentRoute: () => shell,
  path: "/settings",
  component: lazyRouteComponent(() => import("./List"), "List"),
});

export const settings = screen({
  name: "settings",
  home: "/settings",
  group: "system",
  needs: "see",
  routes: [list],
});
