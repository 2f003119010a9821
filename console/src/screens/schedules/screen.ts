import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shell } from "../../app/root";
import { screen } from "../../app/screen";
import { text } from "../../app/search";
import { dayOf, monthOf } from "./keep/calendar";
import { type Tab, tabOf } from "./tabs";

export const list = createRoute({
  getParentRoute: () => shell,
  path: "/schedules",
  validateSearch: (search): { tab?: Tab } => ({ tab: tabOf(search.tab) }),
  component: lazyRouteComponent(() => import("./List"), "List"),
});

export const fresh = createRoute({
  getParentRoute: () => shell,
  path: "/schedules/new",
  validateSearch: (search): { from?: string; tab?: Tab } => ({
    from: text(search.from),
    tab: tabOf(search.tab),
  }),
  component: lazyRouteComponent(() => import("./New"), "New"),
});

export const detail = createRoute({
  getParentRoute: () => shell,
  path: "/schedules/$id",
  validateSearch: (search): { month?: string; on?: string } => ({
    month: monthOf(search.month),
    on: dayOf(search.on),
  }),
  component: lazyRouteComponent(() => import("./Detail"), "Detail"),
});

export const schedules = screen({
  name: "schedules",
  home: "/schedules",
  group: "protect",
  needs: "see",
  routes: [list, fresh, detail],
});
