import { CopyLine } from "../../../parts/copy/CopyLine";
import { useWords } from "../../../words";
import style from "./Sheet.module.css";

const COMMAND = "tintype manager recovery-sheet --pdf sheet.pdf";

/** What opens all storages at once is told by no API: it is printed on the manager's host. */
export function Sheet() {
  const { storages } = useWords();
  const words = storages.keys;
  return (
    <div className={style.sheet}>
      <h3>{words.sheet}</h3>
      <p>{words.sheetWords}</p>
      <CopyLine text={COMMAND} label={words.command} />
    </div>
  );
}
