import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { root } from "../app/root";

/** Only while the console is developed (`npm run dev`), and without logging in. */
export const dev = createRoute({
  getParentRoute: () => root,
  path: "/dev",
  component: lazyRouteComponent(() => import("./Dev"), "Dev"),
});
