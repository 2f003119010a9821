import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";

export const home = createRoute({
  getParentRoute: () => shell,
  path: "/",
  component: lazyRouteComponent(() => import("./Overview"), "Overview"),
});

export const overview = screen({
  name: "overview",
  home: "/",
  group: "protect",
  needs: "see",
  routes: [home],
});
