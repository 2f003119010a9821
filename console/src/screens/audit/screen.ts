import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";

export const list = createRoute({
  getParentRoute: () => shell,
  path: "/audit",
  component: lazyRouteComponent(() => import("./List"), "List"),
});

export const audit = screen({
  name: "audit",
  home: "/audit",
  group: "system",
  needs: "audit",
  routes: [list],
});
