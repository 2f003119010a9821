import { type ReactNode, useState } from "react";
import { useChange } from "../../api/change";
import { Button, type ButtonKind } from "../button/Button";
import { Confirm } from "./Confirm";

interface Props {
  /** What is removed, as a question. */
  title: string;
  action: string;
  /** What must be typed. */
  name?: string;
  kind?: ButtonKind;
  because?: string | undefined;
  /** What lists name it, so that those who listen know which one this button is for. */
  of?: string;
  kinds: readonly string[];
  remove: () => Promise<unknown>;
  onDone?: () => unknown;
  children: ReactNode;
}

/** A button that removes something, and the question before that. */
export function Remove(props: Props) {
  const [isOpen, setOpen] = useState(false);
  const remove = useChange(props.kinds, props.remove, async () => {
    await props.onDone?.();
    setOpen(false);
  });
  const close = () => {
    remove.reset();
    setOpen(false);
  };
  return (
    <>
      <Button
        kind={props.kind ?? "danger"}
        because={props.because}
        aria-label={props.of && `${props.action}: ${props.of}`}
        onClick={() => setOpen(true)}
      >
        {props.action}
      </Button>
      <Confirm
        title={props.title}
        action={props.action}
        {...(props.name !== undefined && { name: props.name })}
        isOpen={isOpen}
        isBusy={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate(undefined)}
        onClose={close}
      >
        {props.children}
      </Confirm>
    </>
  );
}
