import { type ReactNode, useState } from "react";
import { useWords } from "../../words";
import { Button } from "../button/Button";
import { Form } from "../field/Form";
import { TypedName } from "../field/TypedName";
import { Modal } from "./Modal";

interface Props {
  title: string;
  /** What will be done, as the button says it. */
  action: string;
  /** What must be typed, where something is destroyed. */
  name?: string;
  isOpen: boolean;
  isBusy: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
  children: ReactNode;
}

export function Confirm(props: Props) {
  return (
    <Modal title={props.title} isOpen={props.isOpen} onClose={props.onClose}>
      <Asked {...props} />
    </Modal>
  );
}

function Asked({ action, name, isBusy, error, onConfirm, onClose, children }: Props) {
  const { common } = useWords();
  const [typed, setTyped] = useState("");
  const isAgreed = !name || typed === name;
  return (
    <Form
      onSubmit={() => isAgreed && onConfirm()}
      error={error}
      actions={
        <>
          <Button onClick={onClose}>{common.cancel}</Button>
          <Button
            type="submit"
            kind="danger"
            isBusy={isBusy}
            because={isAgreed ? undefined : common.typeFirst}
          >
            {action}
          </Button>
        </>
      }
    >
      {children}
      {name && <TypedName name={name} typed={typed} onChange={setTyped} />}
    </Form>
  );
}
