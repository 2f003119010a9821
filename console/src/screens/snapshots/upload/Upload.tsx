import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { upload as uploadQuery } from "../../../api/transfers";
import type { Upload as Uploaded } from "../../../api/types";
import { OPENED, useLeave } from "../../../app/dialog";
import { useIsLost } from "../../../app/live";
import { useWho } from "../../../app/session";
import { Button } from "../../../parts/button/Button";
import { Modal } from "../../../parts/dialog/Modal";
import { Loading } from "../../../parts/loading/Loading";
import { useWords } from "../../../words";
import { list } from "../screen";
import { Begin } from "./Begin";
import { Fetching } from "./Fetching";
import { Import } from "./Import";
import { Sending } from "./Sending";

/** A snapshot that comes as a file: begun, sent, imported. Each step has an address, by its id. */
export function Upload() {
  const { snapshots, transfers, common } = useWords();
  const who = useWho();
  const isLost = useIsLost();
  const { upload } = list.useSearch();
  const navigate = useNavigate({ from: list.fullPath });
  const leave = useLeave();
  if (!who.may("system")) return null;
  const open = () => navigate({ search: (now) => ({ ...now, upload: true }), state: OPENED });
  // One dialog, whatever step it is at: back leaves it.
  const goOn = (id: string) =>
    navigate({
      search: (now) => ({ ...now, upload: id }),
      state: (now) => now,
      replace: true,
    });
  const close = () =>
    leave(() => navigate({ search: (now) => ({ ...now, upload: undefined }), replace: true }));
  return (
    <>
      <Button because={isLost ? common.offline : undefined} onClick={open}>
        {snapshots.upload}
      </Button>
      <Modal title={transfers.upload.title} isOpen={upload !== undefined} onClose={close}>
        {typeof upload === "string" ? (
          <Going id={upload} onGone={close} />
        ) : (
          <Begin onBegun={goOn} onClose={close} />
        )}
      </Modal>
    </>
  );
}

function Going({ id, onGone }: { id: string; onGone: () => void }) {
  const query = useQuery(uploadQuery(id));
  return <Loading of={query}>{(upload) => <Step upload={upload} onGone={onGone} />}</Loading>;
}

function Step({ upload, onGone }: { upload: Uploaded; onGone: () => void }) {
  if (upload.is_whole) return <Import upload={upload} onGone={onGone} />;
  if (upload.from) return <Fetching upload={upload} onGone={onGone} />;
  return <Sending upload={upload} onGone={onGone} />;
}
