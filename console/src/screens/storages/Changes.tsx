import { useNavigate } from "@tanstack/react-router";
import { unchanged, useChange } from "../../api/change";
import { api, ask } from "../../api/client";
import type { Storage } from "../../api/types";
import { useBecause } from "../../app/because";
import { useDialog } from "../../app/dialog";
import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { Modal } from "../../parts/dialog/Modal";
import { Remove } from "../../parts/dialog/Remove";
import { ProblemNotice } from "../../parts/notice/ProblemNotice";
import { useWords } from "../../words";
import { ChangeForm } from "./add/ChangeForm";

/** What can be done about a storage. */
export function Changes({ storage }: { storage: Storage }) {
  const { storages: words, common } = useWords();
  const who = useWho();
  const because = useBecause();
  const navigate = useNavigate();
  const edit = useDialog("edit");
  const params = { path: { id: storage.id }, header: unchanged(storage) };
  const makeDefault = useChange(["storage"], () =>
    ask(
      api.PATCH("/api/v1/storages/{id}", {
        params,
        body: { spec: { ...storage.spec, is_default: true } },
      }),
    ),
  );
  if (!who.may("change") || (storage.tenant !== who.tenant && !who.isSystem)) return null;
  return (
    <>
      {makeDefault.error && <ProblemNotice error={makeDefault.error} />}
      {!storage.spec.is_default && (
        <Button
          because={because}
          isBusy={makeDefault.isPending}
          onClick={() => makeDefault.mutate(undefined)}
        >
          {words.makeDefault}
        </Button>
      )}
      <Button because={because} onClick={() => edit.open()}>
        {common.edit}
      </Button>
      <Remove
        id={storage.id}
        title={words.deleteTitle(storage.name)}
        action={common.delete}
        name={storage.name}
        because={because}
        kinds={["storage", "status"]}
        remove={() => ask(api.DELETE("/api/v1/storages/{id}", { params }))}
        onDone={() => navigate({ to: "/storages" })}
      >
        <p>{words.deleteWords}</p>
      </Remove>
      <Modal title={common.edit} isOpen={edit.isOpen} onClose={edit.close} isWide>
        <ChangeForm storage={storage} onClose={edit.close} />
      </Modal>
    </>
  );
}
