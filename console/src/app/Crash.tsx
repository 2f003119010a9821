import type { ErrorComponentProps } from "@tanstack/react-router";
import { ProblemNotice } from "../parts/notice/ProblemNotice";
import { Page } from "../parts/page/Page";
import { useWords } from "../words";

/** A screen that cannot be shown takes no other with it. */
export function Crash({ error, reset }: ErrorComponentProps) {
  const { shell } = useWords();
  return (
    <Page title={shell.crashed}>
      <ProblemNotice error={error} again={reset} />
    </Page>
  );
}
