import type { ReactNode } from "react";
import { classes } from "../classes";
import style from "./Button.module.css";

/** A link to a file that the browser keeps. */
export function FileLink({
  href,
  name,
  children,
}: {
  href: string;
  name: string;
  children: ReactNode;
}) {
  return (
    <a href={href} download={name} className={classes(style.button, style.plain)}>
      {children}
    </a>
  );
}
