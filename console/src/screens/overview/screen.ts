import { createRoute } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";
import { ownZone } from "../../parts/period/zone";
import { asks } from "./asks";
import { Overview } from "./Overview";

export const home = createRoute({
  getParentRoute: () => shell,
  path: "/",
  loader: ({ context: { client } }) => {
    asks(client, ownZone());
  },
  // Nearly everybody comes here first: it comes with all of the console, and nothing waits for it.
  component: Overview,
});

export const overview = screen({
  name: "overview",
  home: "/",
  group: "protect",
  needs: "see",
  routes: [home],
});
