import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { putPiece, upload as uploadQuery } from "../../../api/transfers";
import type { Upload } from "../../../api/types";
import { Button } from "../../../parts/button/Button";
import { ProblemNotice } from "../../../parts/notice/ProblemNotice";
import { Progress } from "../../../parts/progress/Progress";
import { useFormat, useWords } from "../../../words";
import style from "../Transfer.module.css";
import { FileField } from "./FileField";
import { Forget } from "./Forget";
import { files } from "./files";
import { isSame, send, shareOf } from "./send";

interface Props {
  upload: Upload;
  onGone: () => void;
}

/** Goes on by itself while the window has the file; after a reload the same file is chosen again. */
export function Sending({ upload, onGone }: Props) {
  const { transfers } = useWords();
  const words = transfers.upload;
  const format = useFormat();
  const [isWrong, setWrong] = useState(false);
  const { isGoing, error, begin, stop } = useSending(upload);
  const choose = (file: File | undefined) => {
    if (!file) return;
    setWrong(!isSame(file, upload));
    if (isSame(file, upload)) begin(file);
  };
  const told = words.sent(
    format.bytes(upload.offset),
    upload.size_bytes ? format.bytes(upload.size_bytes) : "?",
  );
  const kept = files.of(upload.id);
  return (
    <div className={style.steps}>
      <p>{upload.name}</p>
      <Progress share={shareOf(upload)} label={words.progress} />
      <p>{told}</p>
      {error !== undefined && <ProblemNotice error={error} again={kept && (() => begin(kept))} />}
      {!kept && (
        <FileField
          label={words.sameFile}
          help={words.sameFileWords}
          wrong={isWrong ? words.otherFile : undefined}
          onChoose={choose}
        />
      )}
      <div className={style.actions}>
        <Forget upload={upload} onGone={onGone} />
        {isGoing && <Button onClick={stop}>{words.pause}</Button>}
        {!isGoing && kept && (
          <Button kind="primary" onClick={() => begin(kept)}>
            {words.goOn}
          </Button>
        )}
      </div>
    </div>
  );
}

function useSending(upload: Upload) {
  const { id } = upload;
  const client = useQueryClient();
  const [isGoing, setGoing] = useState(false);
  const [error, setError] = useState<unknown>();
  const ending = useRef<AbortController>(undefined);
  const latest = useRef(upload);
  latest.current = upload;
  const begin = useCallback(
    async (file: File) => {
      files.keep(id, file);
      ending.current?.abort();
      const control = new AbortController();
      ending.current = control;
      const { signal } = control;
      const { queryKey } = uploadQuery(id);
      setGoing(true);
      setError(undefined);
      try {
        await send(file, latest.current, {
          put: (offset, piece) => putPiece(id, offset, piece),
          look: () => client.fetchQuery({ ...uploadQuery(id), staleTime: 0 }),
          heard: (now) => client.setQueryData(queryKey, now),
          signal,
        });
      } catch (problem) {
        if (!signal.aborted) setError(problem);
      }
      if (ending.current?.signal === signal) setGoing(false);
    },
    [client, id],
  );
  const stop = useCallback(() => {
    ending.current?.abort();
    setGoing(false);
  }, []);
  useEffect(() => {
    // Whatever is mounted only to be taken away again (as in development) sends nothing.
    const soon = setTimeout(() => {
      const kept = files.of(id);
      if (kept) begin(kept);
    });
    return () => {
      clearTimeout(soon);
      ending.current?.abort();
    };
  }, [id, begin]);
  return { isGoing, error, begin, stop };
}
