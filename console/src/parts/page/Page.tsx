import type { ReactNode } from "react";
import style from "./Page.module.css";
import { useTitle } from "./title";

interface Props {
  title: string;
  /** The answer to the screen's question, in words. */
  answer?: ReactNode;
  /** Where this lies, from the outside in. */
  trail?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

export function Page({ title, answer, trail, actions, children }: Props) {
  useTitle(title);
  return (
    <div className={style.page}>
      <header className={style.head}>
        <div className={style.titles}>
          {trail && <div className={style.trail}>{trail}</div>}
          <h1 tabIndex={-1}>{title}</h1>
          {answer && <p className={style.answer}>{answer}</p>}
        </div>
        {actions && <div className={style.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}
