import type { ReactNode } from "react";
import { classes } from "../classes";
import style from "./Scroll.module.css";

/** What may be wider than its place, and if it `isLow` higher than most of the window. */
export function Scroll({ isLow, children }: { isLow?: boolean; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: nothing in it takes the focus, and without it no key scrolls it
    <div className={classes(style.scroll, isLow && style.low)} tabIndex={0}>
      {children}
    </div>
  );
}
