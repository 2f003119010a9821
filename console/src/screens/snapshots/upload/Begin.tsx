import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask } from "../../../api/client";
import { uploads } from "../../../api/transfers";
import type { NewUpload } from "../../../api/types";
import { Button } from "../../../parts/button/Button";
import { Form } from "../../../parts/field/Form";
import { Radios, TextField } from "../../../parts/field/inputs";
import { useWords } from "../../../words";
import { FileField } from "./FileField";
import { files } from "./files";

interface Props {
  onBegun: (id: string) => void;
  onClose: () => void;
}

export function Begin({ onBegun, onClose }: Props) {
  const { transfers, common } = useWords();
  const words = transfers.upload;
  const [way, setWay] = useState<"file" | "url">("file");
  const [file, setFile] = useState<File>();
  const [url, setUrl] = useState("");
  const [sha256, setSha] = useState("");
  const [isTried, setTried] = useState(false);
  const isThere = way === "file" ? file !== undefined : /^https?:\/\/./.test(url);
  const client = useQueryClient();
  const begin = useMutation({
    mutationFn: (body: NewUpload) => ask(api.POST("/api/v1/uploads", { body })),
    onSuccess: (made) => {
      client.invalidateQueries({ queryKey: uploads.queryKey });
      if (way === "file" && file) files.keep(made.id, file);
      onBegun(made.id);
    },
  });
  const submit = () => {
    setTried(true);
    if (!isThere) return;
    const sum = sha256.trim() || null;
    begin.mutate(
      way === "file" && file
        ? { name: file.name, size_bytes: file.size, url: null, sha256: sum }
        : { name: "", size_bytes: null, url, sha256: sum },
    );
  };
  return (
    <Form
      onSubmit={submit}
      error={begin.error}
      actions={
        <>
          <Button onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" kind="primary" isBusy={begin.isPending}>
            {way === "file" ? words.send : words.fetch}
          </Button>
        </>
      }
    >
      <p>{words.words}</p>
      <Radios
        label={words.from}
        name="way"
        value={way}
        of={[
          { value: "file", label: words.aFile, help: words.aFileWords },
          { value: "url", label: words.aUrl, help: words.aUrlWords },
        ]}
        onChange={setWay}
      />
      {way === "file" ? (
        <FileField
          label={words.file}
          wrong={isTried && !file ? words.lacks.file : undefined}
          onChoose={setFile}
        />
      ) : (
        <TextField
          label={words.url}
          type="url"
          placeholder="https://"
          wrong={isTried && !isThere ? words.lacks.url : undefined}
          value={url}
          onChange={setUrl}
        />
      )}
      <TextField label={words.sha256} help={words.sha256Words} value={sha256} onChange={setSha} />
    </Form>
  );
}
