import { Button } from "../../parts/button/Button";
import { useWords } from "../../words";

/** What happened, on paper: for those who ask afterwards. */
export function Print() {
  const { restore: words } = useWords();
  return <Button onClick={() => window.print()}>{words.print}</Button>;
}
