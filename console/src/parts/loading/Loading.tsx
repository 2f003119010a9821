import type { ReactNode } from "react";
import { useWords } from "../../words";
import { ProblemNotice } from "../notice/ProblemNotice";
import style from "./Loading.module.css";

interface Asked<T> {
  data: T | undefined;
  error: unknown;
  refetch: () => unknown;
}

interface Props<T> {
  of: Asked<T>;
  /** Lines of the place that is kept free, so that nothing jumps. */
  lines?: number;
  children: (data: T) => ReactNode;
}

/** What was asked for; until then its place, after 300 ms with a sign of life; or the problem. */
export function Loading<T>({ of, lines = 4, children }: Props<T>) {
  const { common } = useWords();
  if (of.data !== undefined) return children(of.data);
  if (of.error) return <ProblemNotice error={of.error} again={() => of.refetch()} />;
  return (
    <div className={style.place} role="status">
      <span className="unseen">{common.loading}</span>
      {Array.from({ length: lines }, (_, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines of a placeholder never move
        <div key={line} className={style.line} />
      ))}
    </div>
  );
}
