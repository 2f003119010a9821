import { useMutation } from "@tanstack/react-query";
import { api, ask } from "../../api/client";
import type { Run } from "../../api/types";
import { useBecause } from "../../app/because";
import { useDialog } from "../../app/dialog";
import type { May } from "../../app/rights";
import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { Confirm } from "../../parts/dialog/Confirm";
import { useWords } from "../../words";

/** Who may begin it may stop it. */
const NEEDED: Partial<Record<Run["kind"], May>> = { snapshot: "snapshot", restore: "restore" };

export function Cancel({ run }: { run: Run }) {
  const { runs: words } = useWords();
  const who = useWho();
  const isLost = useBecause();
  const asked = useDialog("cancel");
  const cancel = useMutation({
    mutationFn: () =>
      ask(api.POST("/api/v1/runs/{id}/cancel", { params: { path: { id: run.id } } })),
    onSuccess: asked.close,
  });
  if (!who.may(NEEDED[run.kind] ?? "change")) return null;
  const because = isLost ?? (run.is_canceling ? words.canceling : undefined);
  return (
    <>
      <Button kind="danger" because={because} onClick={() => asked.open()}>
        {words.cancel}
      </Button>
      <Confirm
        title={words.cancelTitle}
        action={words.cancel}
        isOpen={asked.isOpen}
        isBusy={cancel.isPending}
        error={cancel.error}
        onConfirm={() => cancel.mutate()}
        onClose={asked.close}
      >
        <p>{words.cancelWords}</p>
      </Confirm>
    </>
  );
}
