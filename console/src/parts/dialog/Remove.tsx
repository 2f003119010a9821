import type { ReactNode } from "react";
import { useChange } from "../../api/change";
import { useDialog } from "../../app/dialog";
import { Button, type ButtonKind } from "../button/Button";
import { Confirm } from "./Confirm";

interface Props {
  /** Of what is removed: its question has an address. */
  id: string;
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
  const dialog = useDialog("remove", props.id);
  const remove = useChange(props.kinds, props.remove, async () => {
    await props.onDone?.();
    dialog.close();
  });
  const close = () => {
    remove.reset();
    dialog.close();
  };
  return (
    <>
      <Button
        kind={props.kind ?? "danger"}
        because={props.because}
        aria-label={props.of && `${props.action}: ${props.of}`}
        onClick={() => dialog.open()}
      >
        {props.action}
      </Button>
      <Confirm
        title={props.title}
        action={props.action}
        {...(props.name !== undefined && { name: props.name })}
        isOpen={dialog.isOpen}
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
