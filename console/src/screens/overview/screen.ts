import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";
import { ownZone } from "../../parts/period/zone";
import { asks } from "./asks";

export const home = createRoute({
  getParentRoute: () => shell,
  path: "/",
  loader: ({ context: { client } }) => {
    asks(client, ownZone());
  },
  component: lazyRouteComponent(() => import("./Overview"), "Overview"),
});

export const overview = screen({
  name: "overview",
  home: "/",
  group: "protect",
  needs: "see",
  routes: [home],
});
