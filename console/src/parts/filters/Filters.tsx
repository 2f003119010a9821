import type { ReactNode } from "react";
import style from "./Filters.module.css";

/** Fields that narrow a list, their labels before them. */
export const Filters = ({ children }: { children: ReactNode }) => (
  <search className={style.filters}>{children}</search>
);
