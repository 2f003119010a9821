import type { Storage } from "../../../api/types";
import { useBecause } from "../../../app/because";
import { useDialog } from "../../../app/dialog";
import { useWho } from "../../../app/session";
import { Button } from "../../../parts/button/Button";
import { Modal } from "../../../parts/dialog/Modal";
import { Panel } from "../../../parts/panel/Panel";
import { useFormat, useWords } from "../../../words";
import style from "../Storages.module.css";
import { BandwidthForm } from "./BandwidthForm";
import { limitsOf } from "./windows";

/** How much may go to and from it, at which times of the week. */
export function Bandwidth({ storage }: { storage: Storage }) {
  const { storages, times, common } = useWords();
  const words = storages.bandwidth;
  const format = useFormat();
  const who = useWho();
  const because = useBecause();
  const dialog = useDialog("bandwidth");
  const { zone, windows } = limitsOf(storage.spec.bandwidth);
  return (
    <Panel
      title={words.title}
      beside={
        who.may("change") && (
          <Button because={because} onClick={() => dialog.open()}>
            {common.edit}
          </Button>
        )
      }
    >
      {windows.length === 0 ? (
        <p className={style.quiet}>{words.none}</p>
      ) : (
        <ul className={style.list}>
          {windows.map(({ days = [], from, to, rate }) => (
            <li key={`${days.join()} ${from} ${to} ${rate}`}>
              {words.window(
                days.length > 0
                  ? format.list(days.map((day) => times.weekdays[day]))
                  : words.everyDay,
                from,
                to,
                zone,
                rate.replace(/\/s$/, ""),
              )}
            </li>
          ))}
        </ul>
      )}
      <Modal title={words.title} isOpen={dialog.isOpen} onClose={dialog.close} isWide>
        <BandwidthForm storage={storage} onClose={dialog.close} />
      </Modal>
    </Panel>
  );
}
