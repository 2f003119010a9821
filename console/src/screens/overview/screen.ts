import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { days, profiles, runs, standings, status, storages } from "../../api/queries";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";
import { ownZone } from "../../parts/period/zone";

/** So many days, and so many runs, are shown. */
export const DAYS = 14;
export const RUNS = 10;

export const home = createRoute({
  getParentRoute: () => shell,
  path: "/",
  // Asked for while the code of the screen is still on its way.
  loader: ({ context: { client } }) => {
    client.prefetchQuery(status());
    client.prefetchQuery(storages);
    client.prefetchQuery(profiles);
    client.prefetchQuery(days(ownZone(), DAYS));
    client.prefetchInfiniteQuery(standings());
    client.prefetchInfiniteQuery(runs({}, RUNS));
    client.prefetchInfiniteQuery(runs({ state: "running" }, RUNS));
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
