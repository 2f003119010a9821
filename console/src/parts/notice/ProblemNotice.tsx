import { Problem } from "../../api/problem";
import { useLanguage, useWords } from "../../words";
import { Button } from "../button/Button";
import { Notice } from "./Notice";
import { sentence, useTold } from "./told";

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
      {problem ? <Cure problem={problem} /> : String(error)}
    </Notice>
  );
}

/** The server speaks English: in another language its stable code says first what it is about. */
function Happened({ problem: { code, message } }: { problem: Problem }) {
  const { problems } = useWords();
  const told = useTold();
  const { language } = useLanguage();
  if (code === "offline") return sentence(problems.codes.offline);
  const is = told(message);
  if (language === "en" || is !== sentence(message)) return is;
  return (
    <>
      {sentence(problems.codes[code])} <span lang="en">{is}</span>
    </>
  );
}

function Cure({ problem }: { problem: Problem }) {
  const { problems } = useWords();
  const told = useTold();
  if (problem.cure) return told(problem.cure);
  return problem.isPassing ? problems.passing : undefined;
}
