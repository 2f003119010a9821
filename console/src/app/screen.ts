import type { AnyRoute } from "@tanstack/react-router";
import type { Words } from "../words";
import type { May } from "./rights";

/** One folder below `screens/`: an answer to one question, with routes of its own. */
export interface Screen<R extends readonly AnyRoute[] = readonly AnyRoute[]> {
  name: keyof Words["screens"];
  /** Where the navigation leads. */
  home: string;
  group: keyof Words["groups"];
  /** What one must be allowed to for it to be there at all. */
  needs: May;
  routes: R;
}

export const screen = <const R extends readonly AnyRoute[]>(it: Screen<R>): Screen<R> => it;
