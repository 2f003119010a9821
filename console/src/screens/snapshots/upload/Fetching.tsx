import { useQuery } from "@tanstack/react-query";
import { run as runQuery } from "../../../api/queries";
import { upload as uploadQuery } from "../../../api/transfers";
import type { Run, Upload } from "../../../api/types";
import { Loading } from "../../../parts/loading/Loading";
import { Notice } from "../../../parts/notice/Notice";
import { Told } from "../../../parts/told/Told";
import { useWords } from "../../../words";
import { useLiveRun } from "../../runs/live";
import { RunProgress } from "../../runs/RunProgress";
import { isOver } from "../../runs/standing";
import style from "../Transfer.module.css";
import { Forget } from "./Forget";

interface Props {
  upload: Upload;
  onGone: () => void;
}

/** It comes from a URL, by a run of the manager. */
export function Fetching({ upload, onGone }: Props) {
  const { transfers } = useWords();
  const id = upload.run ?? "";
  const query = useQuery({ ...runQuery(id), enabled: id !== "" });
  return (
    <div className={style.steps}>
      <p>{transfers.upload.comes(upload.from ?? "")}</p>
      <Loading of={query}>{(run) => <Going run={run} upload={upload} />}</Loading>
      <div className={style.actions}>
        <Forget upload={upload} onGone={onGone} />
      </div>
    </div>
  );
}

function Going({ run: told, upload }: { run: Run; upload: Upload }) {
  const { transfers, runs } = useWords();
  const run = useLiveRun(told, uploadQuery(upload.id).queryKey, true);
  if (!isOver(run)) return <RunProgress run={run} />;
  if (run.state === "succeeded") return null;
  return (
    <Notice is="failed" title={transfers.upload.failed}>
      {run.cause ? <Told of={run.cause} /> : runs.states[run.state]}
    </Notice>
  );
}
