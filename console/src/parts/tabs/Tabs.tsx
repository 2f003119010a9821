import type { ReactNode } from "react";
import style from "./Tabs.module.css";

/** Parts of a screen that have addresses of their own: links, of which one is where we are. */
export function Tabs({ label, children }: { label: string; children: ReactNode }) {
  return (
    <nav className={style.tabs} aria-label={label}>
      {children}
    </nav>
  );
}
