import { useWords } from "../../words";
import { Button } from "../button/Button";

interface Props {
  /** What will be done, as the button says it. */
  action: string;
  isBusy: boolean;
  because?: string | undefined;
  onCancel?: (() => void) | undefined;
}

/** The end of a form: do it, or leave everything as it was. */
export function Answers({ action, isBusy, because, onCancel }: Props) {
  const { common } = useWords();
  return (
    <>
      {onCancel && <Button onClick={onCancel}>{common.cancel}</Button>}
      <Button type="submit" kind="primary" isBusy={isBusy} because={because}>
        {action}
      </Button>
    </>
  );
}
