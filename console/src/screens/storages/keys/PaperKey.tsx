import type { KeySlot, Storage } from "../../../api/types";
import { Button } from "../../../parts/button/Button";
import { CopyLine } from "../../../parts/copy/CopyLine";
import { Facts } from "../../../parts/facts/Facts";
import { Notice } from "../../../parts/notice/Notice";
import { When } from "../../../parts/when/When";
import { useWords } from "../../../words";
import style from "./PaperKey.module.css";

interface Props {
  storage: Storage;
  slot: KeySlot;
  onClose: () => void;
}

/** The words of a recovery key: told this once, to be printed or written down. */
export function PaperKey({ storage, slot, onClose }: Props) {
  const { storages, common } = useWords();
  const words = storages.keys;
  const { recovery } = slot;
  if (!recovery) return null;
  return (
    <div className={style.sheet}>
      <Notice is="attention" isNews title={words.once}>
        {words.onceWords}
      </Notice>
      <Facts
        of={[
          [common.storage, storage.name],
          [storages.url, storage.spec.url],
          [common.name, slot.label],
          [words.made, slot.created && <When key="made" at={slot.created} />],
        ]}
      />
      <ol className={style.words} aria-label={words.paperWords}>
        {recovery.words.split(" ").map((word, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: one word may be there twice
          <li key={at}>
            <code>{word}</code>
          </li>
        ))}
      </ol>
      <div>
        <p>{words.paperUse}</p>
        <CopyLine text={recovery.command} label={words.command} />
      </div>
      <div className={style.actions}>
        <Button onClick={onClose}>{words.written}</Button>
        <Button kind="primary" onClick={() => window.print()}>
          {words.print}
        </Button>
      </div>
    </div>
  );
}
