import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";

export const list = createRoute({
  getParentRoute: () => shell,
  path: "/connectors",
  component: lazyRouteComponent(() => import("./List"), "List"),
});

export const connectors = screen({
  name: "connectors",
  home: "/connectors",
  group: "system",
  needs: "system",
  routes: [list],
});
