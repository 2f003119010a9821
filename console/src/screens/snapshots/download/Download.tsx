import { useNavigate } from "@tanstack/react-router";
import type { Snapshot } from "../../../api/types";
import { OPENED, useLeave } from "../../../app/dialog";
import { useIsLost } from "../../../app/live";
import { useWho } from "../../../app/session";
import { Button } from "../../../parts/button/Button";
import { Modal } from "../../../parts/dialog/Modal";
import { useWords } from "../../../words";
import { detail } from "../screen";
import { BundleForm } from "./BundleForm";
import { Making } from "./Making";

/** The way to a file of a snapshot: its dialog has an address, also while the file is being made. */
export function Download({ snapshot }: { snapshot: Snapshot }) {
  const { snapshots, transfers, common } = useWords();
  const who = useWho();
  const isLost = useIsLost();
  const { download, path } = detail.useSearch();
  const navigate = useNavigate({ from: detail.fullPath });
  const leave = useLeave();
  if (!who.may("system")) return null;
  const open = () => navigate({ search: { download: true }, state: OPENED });
  const goOn = (id: string) =>
    navigate({ search: { download: id }, state: (now) => now, replace: true });
  const close = () => leave(() => navigate({ search: {}, replace: true }));
  return (
    <>
      <Button because={isLost ? common.offline : undefined} onClick={open}>
        {snapshots.download}
      </Button>
      <Modal title={transfers.download.title} isOpen={download !== undefined} onClose={close}>
        {typeof download === "string" ? (
          <Making id={download} onGone={close} />
        ) : (
          <BundleForm id={snapshot.id} path={path} onClose={close} onMade={goOn} />
        )}
      </Modal>
    </>
  );
}
