import { Problem } from "../../api/problem";
import { useWords } from "../../words";
import { sentence } from "../../words/sentence";
import { Button } from "../button/Button";
import { Cure } from "../told/Cure";
import { useIsForeign } from "../told/said";
import { Told } from "../told/Told";
import { Notice } from "./Notice";

/** Whatever went wrong: what happened, what to do next, and the way to try again. */
export function ProblemNotice({ error, again }: { error: unknown; again?: () => void }) {
  const { problems } = useWords();
  const problem = error instanceof Problem ? error : undefined;
  return (
    <Notice
      is="failed"
      isNews
      title={problem ? <Happened problem={problem} /> : sentence(problems.unexpected)}
      actions={again && <Button onClick={again}>{problems.again}</Button>}
    >
      {problem ? <Helps problem={problem} /> : String(error)}
    </Notice>
  );
}

/** The server speaks English: in another language its stable code says first what it is about. */
function Happened({ problem: { code, message } }: { problem: Problem }) {
  const { problems } = useWords();
  const isForeign = useIsForeign(message);
  if (code === "offline") return sentence(problems.codes.offline);
  return (
    <>
      {isForeign && `${sentence(problems.codes[code])} `}
      <Told of={message} />
    </>
  );
}

function Helps({ problem }: { problem: Problem }) {
  const { problems } = useWords();
  if (problem.cure) return <Cure of={problem.cure} />;
  return problem.isPassing ? problems.passing : undefined;
}
