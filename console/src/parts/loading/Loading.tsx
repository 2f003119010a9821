import type { ReactNode } from "react";
import { useWords } from "../../words";
import { ProblemNotice } from "../notice/ProblemNotice";
import { Page } from "../page/Page";
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
  /** It is all that is on this screen: its name stands above until there is a better one. */
  screen?: keyof ReturnType<typeof useWords>["screens"];
  children: (data: T) => ReactNode;
}

/** What was asked for; until then its place, after 300 ms with a sign of life; or the problem. */
export function Loading<T>({ screen, children, ...rest }: Props<T>) {
  const { screens } = useWords();
  if (rest.of.data !== undefined) return children(rest.of.data);
  if (!screen) return <Until {...rest} />;
  return (
    <Page title={screens[screen]}>
      <Until {...rest} />
    </Page>
  );
}

function Until<T>({ of, lines = 4 }: Pick<Props<T>, "of" | "lines">) {
  const { common } = useWords();
  if (of.error) return <ProblemNotice error={of.error} again={() => of.refetch()} />;
  return (
    <div className={style.place} role="status">
      <span className="unseen">{common.loading}</span>
      {[...Array(lines).keys()].map((line) => (
        <div key={line} className={style.line} />
      ))}
    </div>
  );
}
