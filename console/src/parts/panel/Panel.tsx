import { type ReactNode, useId } from "react";
import style from "./Panel.module.css";

interface Props {
  title: string;
  beside?: ReactNode;
  /** Without room around what is in it: tables. */
  isFlush?: boolean;
  children: ReactNode;
}

export function Panel({ title, beside, isFlush, children }: Props) {
  const id = useId();
  return (
    <section className={style.panel} aria-labelledby={id}>
      <header className={style.head}>
        <h2 id={id}>{title}</h2>
        {beside && <div className={style.beside}>{beside}</div>}
      </header>
      <div className={isFlush ? undefined : style.body}>{children}</div>
    </section>
  );
}
