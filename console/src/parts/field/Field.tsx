import { type ReactNode, useId } from "react";
import { classes } from "../classes";
import style from "./Field.module.css";

export interface Described {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
}

interface Props {
  label: string;
  /** What to write here, and what follows from it. */
  help?: ReactNode;
  /** What is wrong with what is written. */
  wrong?: string | undefined;
  isWide?: boolean;
  children: (described: Described) => ReactNode;
}

/** A label, its input, and what is said about it. */
export function Field({ label, help, wrong, isWide, children }: Props) {
  const id = useId();
  const about = [help && `${id}-help`, wrong && `${id}-wrong`].filter(Boolean).join(" ");
  return (
    <div className={classes(style.field, isWide && style.wide)}>
      <label htmlFor={id}>{label}</label>
      {children({
        id,
        "aria-describedby": about || undefined,
        "aria-invalid": wrong ? true : undefined,
      })}
      {help && (
        <p id={`${id}-help`} className={style.help}>
          {help}
        </p>
      )}
      {wrong && (
        <p id={`${id}-wrong`} className={style.wrong}>
          {wrong}
        </p>
      )}
    </div>
  );
}
