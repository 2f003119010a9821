import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { upload as uploadQuery } from "../../../api/transfers";
import type { Upload as Uploaded } from "../../../api/types";
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
  if (!who.may("system")) return null;
  const open = (is: true | string | undefined) =>
    navigate({ search: (now) => ({ ...now, upload: is }) });
  return (
    <>
      <Button because={isLost ? common.offline : undefined} onClick={() => open(true)}>
        {snapshots.upload}
      </Button>
      <Modal
        title={transfers.upload.title}
        isOpen={upload !== undefined}
        onClose={() => open(undefined)}
      >
        {typeof upload === "string" ? (
          <Going id={upload} onGone={() => open(undefined)} />
        ) : (
          <Begin onBegun={open} onClose={() => open(undefined)} />
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
