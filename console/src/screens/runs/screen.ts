import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import type { RunKind, RunState } from "../../api/types";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";
import { text } from "../../app/search";

export const list = createRoute({
  getParentRoute: () => shell,
  path: "/runs",
  validateSearch: (search): { kind?: RunKind; state?: RunState } => ({
    kind: text(search.kind) as RunKind | undefined,
    state: text(search.state) as RunState | undefined,
  }),
  component: lazyRouteComponent(() => import("./List"), "List"),
});

export const detail = createRoute({
  getParentRoute: () => shell,
  path: "/runs/$id",
  component: lazyRouteComponent(() => import("./Detail"), "Detail"),
});

export const runs = screen({
  name: "runs",
  home: "/runs",
  group: "work",
  needs: "see",
  routes: [list, detail],
});
