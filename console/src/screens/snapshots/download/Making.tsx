import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, ask } from "../../../api/client";
import { bundleAddress, bundle as bundleQuery, bundles } from "../../../api/transfers";
import type { Bundle } from "../../../api/types";
import { Button } from "../../../parts/button/Button";
import { FileLink } from "../../../parts/button/FileLink";
import { Loading } from "../../../parts/loading/Loading";
import { Notice } from "../../../parts/notice/Notice";
import { ProblemNotice } from "../../../parts/notice/ProblemNotice";
import { Told } from "../../../parts/told/Told";
import { When } from "../../../parts/when/When";
import { useFormat, useWords } from "../../../words";
import { useLiveRun } from "../../runs/live";
import { RunProgress } from "../../runs/RunProgress";
import { isOver } from "../../runs/standing";
import style from "../Transfer.module.css";

/** How far the file is; then the file, until it is deleted. */
export function Making({ id, onGone }: { id: string; onGone: () => void }) {
  const query = useQuery(bundleQuery(id));
  return <Loading of={query}>{(bundle) => <Shown bundle={bundle} onGone={onGone} />}</Loading>;
}

function Shown({ bundle, onGone }: { bundle: Bundle; onGone: () => void }) {
  const { transfers, runs } = useWords();
  const words = transfers.download;
  const run = useLiveRun(bundle.run, bundleQuery(bundle.id).queryKey);
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () =>
      ask(api.DELETE("/api/v1/bundles/{id}", { params: { path: { id: bundle.id } } })),
    onSuccess: () => {
      client.removeQueries({ queryKey: bundleQuery(bundle.id).queryKey });
      client.invalidateQueries({ queryKey: bundles.queryKey });
      onGone();
    },
  });
  return (
    <div className={style.steps}>
      {!isOver(run) && <RunProgress run={run} />}
      {isOver(run) && run.state !== "succeeded" && (
        <Notice is="failed" title={words.failed}>
          {run.cause ? <Told of={run.cause} /> : runs.states[run.state]}
        </Notice>
      )}
      {isOver(run) && run.state === "succeeded" && <Made bundle={bundle} />}
      {remove.error && <ProblemNotice error={remove.error} />}
      <div className={style.actions}>
        <Button kind="danger" isBusy={remove.isPending} onClick={() => remove.mutate()}>
          {isOver(run) ? words.remove : words.stop}
        </Button>
        {run.state === "succeeded" && bundle.size_bytes && (
          <FileLink href={bundleAddress(bundle.id)} name={bundle.name}>
            {words.save}
          </FileLink>
        )}
      </div>
    </div>
  );
}

function Made({ bundle }: { bundle: Bundle }) {
  const { transfers } = useWords();
  const words = transfers.download;
  const format = useFormat();
  const size = bundle.size_bytes;
  if (!size) return <Notice is="none" title={words.gone} />;
  return (
    <Notice is="good" isNews title={words.made(bundle.name, format.bytes(size))}>
      {bundle.is_plain ? words.isPlain : words.isSealed}
      {bundle.expires && (
        <>
          {" "}
          {words.expires} <When at={bundle.expires} />.
        </>
      )}
    </Notice>
  );
}
