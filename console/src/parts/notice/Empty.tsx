import type { ReactNode } from "react";
import style from "./Empty.module.css";

/** Nothing is there yet: what it would be, and the way to the first one. */
export function Empty({
  title,
  children,
  action,
}: {
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className={style.empty}>
      <p className={style.title}>{title}</p>
      {children && <p className={style.words}>{children}</p>}
      {action}
    </div>
  );
}
