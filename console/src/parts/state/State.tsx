import type { ReactNode } from "react";
import { classes } from "../classes";
import style from "./State.module.css";

export type Standing = "good" | "attention" | "failed" | "none" | "running";

/** A word with a shape before it: the colour only repeats what both say. */
export function State({ is, children }: { is: Standing; children: ReactNode }) {
  return (
    <span className={classes(style.state, style[is])}>
      <Shape is={is} />
      <span>{children}</span>
    </span>
  );
}

const DRAWN: Record<Standing, ReactNode> = {
  good: <circle cx="6" cy="6" r="5" fill="currentColor" />,
  attention: <path d="M6 .8 11.6 11H.4z" fill="currentColor" />,
  failed: <rect x="1" y="1" width="10" height="10" fill="currentColor" />,
  none: <circle cx="6" cy="6" r="4.2" fill="none" stroke="currentColor" strokeWidth="1.6" />,
  running: (
    <>
      <circle cx="6" cy="6" r="4.2" fill="none" stroke="currentColor" strokeWidth="1.6" />
      <path d="M6 1.8a4.2 4.2 0 0 1 0 8.4z" fill="currentColor" />
    </>
  ),
};

export function Shape({ is }: { is: Standing }) {
  return (
    <svg className={classes(style.shape, style[is])} viewBox="0 0 12 12" aria-hidden="true">
      {DRAWN[is]}
    </svg>
  );
}
