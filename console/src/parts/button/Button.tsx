import type { ComponentProps, ReactNode } from "react";
import { classes } from "../classes";
import style from "./Button.module.css";

export type ButtonKind = "primary" | "plain" | "quiet" | "danger";

type Props = ComponentProps<"button"> & {
  kind?: ButtonKind;
  /** It was pressed, and the server has not answered yet: it cannot be pressed again. */
  isBusy?: boolean;
  /** Why it cannot be pressed, for those who hover and those who listen. */
  because?: string | undefined;
  children: ReactNode;
};

export function Button({ kind = "plain", isBusy, because, className, children, ...rest }: Props) {
  const isOff = Boolean(rest.disabled || because);
  return (
    <button
      type="button"
      {...rest}
      disabled={undefined}
      aria-disabled={isOff || isBusy || undefined}
      aria-busy={isBusy || undefined}
      title={because ?? rest.title}
      onClick={isOff || isBusy ? (event) => event.preventDefault() : rest.onClick}
      className={classes(style.button, style[kind], className)}
    >
      {children}
      {because && <span className="unseen">{because}</span>}
    </button>
  );
}
