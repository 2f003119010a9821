import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import type { Kind } from "../../api/types";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";
import { text } from "../../app/search";
import { kindOf, type Way, wayOf } from "./choices";

export const list = createRoute({
  getParentRoute: () => shell,
  path: "/resources",
  validateSearch: (search): { q?: string; kind?: Kind; tag?: string } => ({
    q: text(search.q),
    kind: kindOf(search.kind),
    tag: text(search.tag),
  }),
  component: lazyRouteComponent(() => import("./List"), "List"),
});

export const fresh = createRoute({
  getParentRoute: () => shell,
  path: "/resources/new",
  validateSearch: (search): { way?: Way; agent?: string } => ({
    way: wayOf(search.way),
    agent: text(search.agent),
  }),
  component: lazyRouteComponent(() => import("./new/New"), "New"),
});

export const detail = createRoute({
  getParentRoute: () => shell,
  path: "/resources/$id",
  component: lazyRouteComponent(() => import("./Detail"), "Detail"),
});

export const resources = screen({
  name: "resources",
  home: "/resources",
  group: "protect",
  needs: "see",
  routes: [list, fresh, detail],
});
