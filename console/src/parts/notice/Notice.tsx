import type { ReactNode } from "react";
import { classes } from "../classes";
import { Shape, type Standing } from "../state/State";
import style from "./Notice.module.css";

interface Props {
  is: Standing;
  title: ReactNode;
  children?: ReactNode;
  actions?: ReactNode;
  /** Told at once to those who listen. */
  isNews?: boolean;
}

export function Notice({ is, title, children, actions, isNews }: Props) {
  return (
    <div className={classes(style.notice, style[is])} role={isNews ? "alert" : undefined}>
      <Shape is={is} />
      <div className={style.words}>
        <p className={style.title}>{title}</p>
        {children && <div className={style.more}>{children}</div>}
      </div>
      {actions && <div className={style.actions}>{actions}</div>}
    </div>
  );
}
