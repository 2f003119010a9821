import { Dialog } from "@base-ui/react/dialog";
import type { ReactNode } from "react";
import { useWords } from "../../words";
import { Button } from "../button/Button";
import style from "./Modal.module.css";

interface Props {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  isWide?: boolean;
  children: ReactNode;
}

/** One question on top of the screen. Escape and the cross leave everything as it was. */
export function Modal({ title, isOpen, onClose, isWide, children }: Props) {
  const { common } = useWords();
  return (
    <Dialog.Root open={isOpen} onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className={style.scrim} />
        <Dialog.Popup className={style.modal} data-wide={isWide || undefined}>
          <header className={style.head}>
            <Dialog.Title>{title}</Dialog.Title>
            <Button kind="quiet" aria-label={common.close} onClick={onClose}>
              ✕
            </Button>
          </header>
          <div className={style.body}>{children}</div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
