import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, ask } from "../../../api/client";
import { upload as uploadQuery, uploads } from "../../../api/transfers";
import type { Upload } from "../../../api/types";
import { Button } from "../../../parts/button/Button";
import { ProblemNotice } from "../../../parts/notice/ProblemNotice";
import { useWords } from "../../../words";
import { files } from "./files";

/** Deletes what has come so far: nothing of it is in any repository yet. */
export function Forget({ upload: { id }, onGone }: { upload: Upload; onGone: () => void }) {
  const { transfers } = useWords();
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () => ask(api.DELETE("/api/v1/uploads/{id}", { params: { path: { id } } })),
    onSuccess: () => {
      files.forget(id);
      onGone();
      client.removeQueries({ queryKey: uploadQuery(id).queryKey });
      client.invalidateQueries({ queryKey: uploads.queryKey });
    },
  });
  return (
    <>
      {remove.error && <ProblemNotice error={remove.error} />}
      <Button kind="danger" isBusy={remove.isPending} onClick={() => remove.mutate()}>
        {transfers.upload.forget}
      </Button>
    </>
  );
}
