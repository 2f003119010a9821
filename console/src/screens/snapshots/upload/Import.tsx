import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask } from "../../../api/client";
import { storages, tenants } from "../../../api/queries";
import type { Upload } from "../../../api/types";
import { Button } from "../../../parts/button/Button";
import { Form } from "../../../parts/field/Form";
import { Checkbox, Radios, SelectField, TextArea, TextField } from "../../../parts/field/inputs";
import { Notice } from "../../../parts/notice/Notice";
import { useFormat, useWords } from "../../../words";
import { Forget } from "./Forget";
import { files } from "./files";
import { DRAFT, type Draft, isWhole, newImport } from "./importing";

interface Props {
  upload: Upload;
  onGone: () => void;
}

/** The file is here: what opens it, and where its snapshot goes. */
export function Import({ upload, onGone }: Props) {
  const { transfers, snapshots } = useWords();
  const words = transfers.upload;
  const format = useFormat();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [draft, setDraft] = useState<Draft>(DRAFT);
  const [isTried, setTried] = useState(false);
  const change = (over: Partial<Draft>) => setDraft((now) => ({ ...now, ...over }));
  const wrong = isTried && !isWhole(draft) ? words.lacks.key : undefined;
  const begin = useMutation({
    mutationFn: () =>
      ask(
        api.POST("/api/v1/uploads/{id}/import", {
          params: { path: { id: upload.id } },
          body: newImport(draft),
        }),
      ),
    onSuccess: (run) => {
      files.forget(upload.id);
      client.invalidateQueries({ queryKey: ["run"] });
      navigate({ to: "/runs/$id", params: { id: run.id } });
    },
  });
  const submit = () => {
    setTried(true);
    if (isWhole(draft)) begin.mutate();
  };
  return (
    <Form
      onSubmit={submit}
      error={begin.error}
      actions={
        <>
          <Forget upload={upload} onGone={onGone} />
          <Button type="submit" kind="primary" isBusy={begin.isPending}>
            {words.import}
          </Button>
        </>
      }
    >
      <Notice is="good" title={words.here(upload.name, format.bytes(upload.offset))} />
      <Radios
        label={words.sealed}
        name="key"
        value={draft.key}
        of={[
          { value: "passphrase", label: words.passphraseWay, help: words.identityWords },
          { value: "identity", label: words.identityWay, help: words.identityWords },
          { value: "none", label: words.notSealed },
        ]}
        onChange={(key) => change({ key })}
      />
      {draft.key === "passphrase" && (
        <TextField
          label={words.passphrase}
          type="password"
          wrong={wrong}
          value={draft.passphrase}
          onChange={(passphrase) => change({ passphrase })}
        />
      )}
      {draft.key === "identity" && (
        <TextArea
          label={words.identity}
          rows={2}
          placeholder="AGE-SECRET-KEY-1…"
          wrong={wrong}
          value={draft.identity}
          onChange={(identity) => change({ identity })}
        />
      )}
      <TextField
        label={snapshots.new.keep}
        help={snapshots.new.keepHelp}
        value={draft.keep}
        onChange={(keep) => change({ keep })}
      />
      <Where {...{ draft, change }} />
      <Checkbox
        label={words.isPrivate}
        help={words.privateWords}
        checked={draft.isPrivate}
        onChange={(isPrivate) => change({ isPrivate })}
      />
    </Form>
  );
}

interface WhereProps {
  draft: Draft;
  change: (over: Partial<Draft>) => void;
}

function Where({ draft, change }: WhereProps) {
  const { transfers, common, snapshots } = useWords();
  const places = useQuery(storages);
  const owners = useQuery(tenants);
  return (
    <>
      <SelectField
        label={common.tenant}
        value={draft.tenant}
        onChange={(tenant) => change({ tenant })}
      >
        <option value="">{transfers.upload.ownTenant}</option>
        {owners.data?.items.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </SelectField>
      <SelectField
        label={common.storage}
        value={draft.storage}
        onChange={(storage) => change({ storage })}
      >
        <option value="">{snapshots.new.storageDefault}</option>
        {places.data?.items.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </SelectField>
    </>
  );
}
