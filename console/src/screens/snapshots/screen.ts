import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { wantedOf } from "../../api/wanted";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";
import { text } from "../../app/search";
import { type Tab, tabOf } from "./tabs";
import { type Span, spanOf } from "./timeline/timeline";

/** A dialog that is open: at its beginning, or with what goes on (an id). */
type Transfer = true | string;
const transferOf = (value: unknown): Transfer | undefined => (value === true ? true : text(value));

export const list = createRoute({
  getParentRoute: () => shell,
  path: "/snapshots",
  validateSearch: (
    search,
  ): {
    tab?: Tab;
    q?: string;
    resource?: string;
    view?: "timeline";
    span?: Span;
    new?: true;
    upload?: Transfer;
  } => ({
    tab: tabOf(search.tab),
    q: text(search.q),
    resource: text(search.resource),
    view: search.view === "timeline" ? "timeline" : undefined,
    span: spanOf(search.span),
    new: search.new === true ? true : undefined,
    upload: transferOf(search.upload),
  }),
  component: lazyRouteComponent(() => import("./List"), "List"),
});

/** In which snapshots is a file? */
export const find = createRoute({
  getParentRoute: () => shell,
  path: "/snapshots/find",
  validateSearch: wantedOf,
  component: lazyRouteComponent(() => import("./find/Find"), "Find"),
});

export const detail = createRoute({
  getParentRoute: () => shell,
  path: "/snapshots/$id",
  validateSearch: (search): { download?: Transfer; path?: string } => ({
    download: transferOf(search.download),
    path: text(search.path),
  }),
  component: lazyRouteComponent(() => import("./Detail"), "Detail"),
});

export const snapshots = screen({
  name: "snapshots",
  home: "/snapshots",
  group: "protect",
  needs: "see",
  routes: [list, find, detail],
});
