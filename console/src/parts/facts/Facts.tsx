import type { ReactNode } from "react";
import style from "./Facts.module.css";

/** Names and what they are. What is nothing is left out. */
export function Facts({ of }: { of: [name: string, what: ReactNode][] }) {
  return (
    <dl className={style.facts}>
      {of
        .filter(([, what]) => what !== undefined && what !== null && what !== "" && what !== false)
        .map(([name, what]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{what}</dd>
          </div>
        ))}
    </dl>
  );
}
