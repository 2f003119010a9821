import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";
import { text } from "../../app/search";
import { type Tab, tabOf } from "./tabs";

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
    new?: true;
    upload?: Transfer;
  } => ({
    tab: tabOf(search.tab),
    q: text(search.q),
    resource: text(search.resource),
    new: search.new === true ? true : undefined,
    upload: transferOf(search.upload),
  }),
  component: lazyRouteComponent(() => import("./List"), "List"),
});

export const detail = createRoute({
  getParentRoute: () => shell,
  path: "/snapshots/$id",
  validateSearch: (search): { download?: Transfer } => ({
    download: transferOf(search.download),
  }),
  component: lazyRouteComponent(() => import("./Detail"), "Detail"),
});

export const snapshots = screen({
  name: "snapshots",
  home: "/snapshots",
  group: "protect",
  needs: "see",
  routes: [list, detail],
});
