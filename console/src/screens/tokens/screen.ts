import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";

export const list = createRoute({
  getParentRoute: () => shell,
  path: "/tokens",
  component: lazyRouteComponent(() => import("./List"), "List"),
});

export const tokens = screen({
  name: "tokens",
  home: "/tokens",
  group: "system",
  needs: "users",
  routes: [list],
});
