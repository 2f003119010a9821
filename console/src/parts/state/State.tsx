import type { ReactNode } from "react";
import { classes } from "../classes";
import style from "./State.module.css";
import { SHAPES, type Standing } from "./shapes";

export type { Standing } from "./shapes";

/** A word with a shape before it: the colour only repeats what both say. */
export function State({ is, children }: { is: Standing; children: ReactNode }) {
  return (
    <span className={classes(style.state, style[is])}>
      <Shape is={is} />
      <span>{children}</span>
    </span>
  );
}

export function Shape({ is }: { is: Standing }) {
  return (
    <svg className={classes(style.shape, style[is])} viewBox="0 0 12 12" aria-hidden="true">
      {SHAPES[is].map(([Drawn, { "stroke-width": strokeWidth, ...how }]) => (
        <Drawn key={Drawn} strokeWidth={strokeWidth} {...how} />
      ))}
    </svg>
  );
}
