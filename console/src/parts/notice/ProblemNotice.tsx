import { Problem } from "../../api/problem";
import { useWords } from "../../words";
import { Button } from "../button/Button";
import { Notice } from "./Notice";

/** Whatever went wrong: what happened, what to do next, and the way to try again. */
export function ProblemNotice({ error, again }: { error: unknown; again?: () => void }) {
  const { problems } = useWords();
  const problem = error instanceof Problem ? error : undefined;
  const cure = problem?.cure ?? (problem?.isPassing ? problems.passing : undefined);
  return (
    <Notice
      is="failed"
      isNews
      title={sentence(problem?.message ?? problems.unexpected)}
      actions={again && <Button onClick={again}>{problems.again}</Button>}
    >
      {cure ? sentence(cure) : problem ? undefined : String(error)}
    </Notice>
  );
}

/** The server's words begin small and end without a point. */
export function sentence(words: string): string {
  const begun = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
