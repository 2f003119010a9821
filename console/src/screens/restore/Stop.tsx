import { useMutation } from "@tanstack/react-query";
import { api, ask } from "../../api/client";
import type { Run } from "../../api/types";
import { useDialog } from "../../app/dialog";
import { useIsLost } from "../../app/live";
import { Button } from "../../parts/button/Button";
import { Confirm } from "../../parts/dialog/Confirm";
import { useWords } from "../../words";

export function Stop({ run }: { run: Run }) {
  const { runs: words, common } = useWords();
  const isLost = useIsLost();
  const asked = useDialog("cancel");
  const cancel = useMutation({
    mutationFn: () =>
      ask(api.POST("/api/v1/runs/{id}/cancel", { params: { path: { id: run.id } } })),
    onSuccess: asked.close,
  });
  const because = isLost ? common.offline : run.is_canceling ? words.canceling : undefined;
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
