import type { FormEvent, ReactNode } from "react";
import { ProblemNotice } from "../notice/ProblemNotice";
import style from "./Form.module.css";

interface Props {
  onSubmit: () => void;
  /** Why it could not be done the last time. */
  error?: unknown;
  actions: ReactNode;
  children: ReactNode;
}

export function Form({ onSubmit, error, actions, children }: Props) {
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit();
  };
  return (
    <form className={style.form} onSubmit={submit} noValidate>
      {children}
      {error !== undefined && error !== null && <ProblemNotice error={error} />}
      <div className={style.actions}>{actions}</div>
    </form>
  );
}

/** Fields beside each other where there is room. */
export const Fields = ({ children }: { children: ReactNode }) => (
  <div className={style.fields}>{children}</div>
);
