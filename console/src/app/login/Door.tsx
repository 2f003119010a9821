import type { ReactNode } from "react";
import style from "./Door.module.css";

/** What is shown to those who are not inside yet. */
export function Door({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className={style.door}>
      <div className={style.box}>
        <p className={style.brand}>
          <img src="/icon.svg" alt="" width="26" height="26" /> Tintype
        </p>
        <h1>{title}</h1>
        {children}
      </div>
    </main>
  );
}
