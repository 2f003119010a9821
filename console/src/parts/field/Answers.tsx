import { useWords } from "../../words";
import { Button } from "../button/Button";
import { State } from "../state/State";

interface Props {
  /** What will be done, as the button says it. */
  action: string;
  isBusy: boolean;
  because?: string | undefined;
  onCancel?: (() => void) | undefined;
  /** It was done, and nothing was written since. */
  isSaved?: boolean;
}

/** The end of a form: do it, or leave everything as it was. */
export function Answers({ action, isBusy, because, onCancel, isSaved }: Props) {
  const { common } = useWords();
  return (
    <>
      <span role="status">{isSaved && <State is="good">{common.saved}</State>}</span>
      {onCancel && <Button onClick={onCancel}>{common.cancel}</Button>}
      <Button type="submit" kind="primary" isBusy={isBusy} because={because}>
        {action}
      </Button>
    </>
  );
}
