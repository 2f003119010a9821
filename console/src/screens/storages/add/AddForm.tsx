import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useChange } from "../../../api/change";
import { api, ask } from "../../../api/client";
import { useBecause } from "../../../app/because";
import { useWho } from "../../../app/session";
import { Answers } from "../../../parts/field/Answers";
import { Form } from "../../../parts/field/Form";
import { Checkbox, Radios, TextField } from "../../../parts/field/inputs";
import { useWords } from "../../../words";
import { DRAFT, type Draft, isCloud, KINDS, missing, specOf } from "./draft";
import { KeyFields } from "./KeyFields";
import { PlaceFields } from "./PlaceFields";

/** A place is tried out before it is accepted; a refusal names the cause and what helps. */
export function AddForm({ onClose }: { onClose: () => void }) {
  const { storages: words, common } = useWords();
  const who = useWho();
  const because = useBecause();
  const navigate = useNavigate();
  const [draft, setDraft] = useState<Draft>(DRAFT);
  const [isTried, setTried] = useState(false);
  const change = (over: Partial<Draft>) => setDraft((now) => ({ ...now, ...over }));
  const lacks = missing(draft);
  const wrong = (field: keyof Draft) =>
    isTried && lacks.includes(field) ? words.isNeeded : undefined;
  const add = useChange(
    ["storage", "status"],
    () => ask(api.POST("/api/v1/storages", { body: { name: draft.name, spec: specOf(draft) } })),
    ({ id }) => navigate({ to: "/storages/$id", params: { id } }),
  );
  const submit = () => {
    setTried(true);
    if (lacks.length === 0) add.mutate(undefined);
  };
  return (
    <Form
      onSubmit={submit}
      error={add.error}
      actions={
        <Answers
          action={add.isPending ? words.trying : words.tryAndAdd}
          isBusy={add.isPending}
          because={because}
          onCancel={onClose}
        />
      }
    >
      <Radios
        label={common.kind}
        name="kind"
        value={draft.kind}
        of={KINDS.map((kind) => ({
          value: kind,
          label: words.kinds[kind],
          help: words.kindWords[kind],
        }))}
        onChange={(kind) => change({ kind })}
      />
      <TextField
        label={common.name}
        help={words.nameHelp}
        wrong={wrong("name")}
        value={draft.name}
        onChange={(name) => change({ name })}
      />
      <PlaceFields draft={draft} change={change} wrong={wrong} />
      {isCloud(draft.kind) && (
        <>
          <KeyFields
            kind={draft.kind}
            label={words.accessKey}
            id={draft.keyId}
            secret={draft.secret}
            onChange={(keyId, secret) => change({ keyId, secret })}
          />
          <details>
            <summary>{words.agentKeyMore}</summary>
            <KeyFields
              kind={draft.kind}
              label={words.agentKey}
              id={draft.agentKeyId}
              secret={draft.agentSecret}
              onChange={(agentKeyId, agentSecret) => change({ agentKeyId, agentSecret })}
            />
          </details>
        </>
      )}
      <Checkbox
        label={words.isDefaultLong}
        help={words.isDefaultHelp}
        checked={draft.isDefault}
        onChange={(isDefault) => change({ isDefault })}
      />
      {who.isSystem && (
        <Checkbox
          label={words.isSharedLong}
          checked={draft.isShared}
          onChange={(isShared) => change({ isShared })}
        />
      )}
    </Form>
  );
}
