import { createLink } from "@tanstack/react-router";
import type { ComponentProps } from "react";
import { classes } from "../classes";
import type { ButtonKind } from "./Button";
import style from "./Button.module.css";

function Anchor({
  kind = "plain",
  className,
  ...rest
}: ComponentProps<"a"> & { kind?: ButtonKind }) {
  return <a {...rest} className={classes(style.button, style[kind], className)} />;
}

/** A link that looks like a button: it leads somewhere and changes nothing. */
export const LinkButton = createLink(Anchor);
