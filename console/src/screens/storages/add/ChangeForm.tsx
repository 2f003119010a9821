import { useState } from "react";
import { unchanged, useChange } from "../../../api/change";
import { api, ask } from "../../../api/client";
import type { Storage } from "../../../api/types";
import { useBecause } from "../../../app/because";
import { useWho } from "../../../app/session";
import { Answers } from "../../../parts/field/Answers";
import { Form } from "../../../parts/field/Form";
import { Checkbox, TextField } from "../../../parts/field/inputs";
import { useWords } from "../../../words";
import { isCloud, keyOf } from "./draft";
import { KeyFields } from "./KeyFields";

/** What may change about a storage; it is tried out like a new one. */
export function ChangeForm({ storage, onClose }: { storage: Storage; onClose: () => void }) {
  const { storages: words, common } = useWords();
  const who = useWho();
  const because = useBecause();
  const { spec } = storage;
  const [name, setName] = useState(storage.name);
  const [url, setUrl] = useState(spec.url ?? "");
  const [mount, setMount] = useState(spec.mount_point ?? "");
  const [own, setOwn] = useState({ id: spec.access_key?.id ?? "", secret: "" });
  const [agent, setAgent] = useState({ id: spec.agent_access_key?.id ?? "", secret: "" });
  const [isShared, setShared] = useState(spec.is_shared ?? false);
  const save = useChange(
    ["storage", "status"],
    () =>
      ask(
        api.PATCH("/api/v1/storages/{id}", {
          params: { path: { id: storage.id }, header: unchanged(storage) },
          body: {
            name,
            spec: {
              ...spec,
              url,
              is_shared: isShared,
              ...(spec.kind === "mounted" && { mount_point: mount }),
              ...(isCloud(spec.kind) && {
                access_key: keyOf(own.id, own.secret),
                agent_access_key: keyOf(agent.id, agent.secret),
              }),
            },
          },
        }),
      ),
    onClose,
  );
  const hasKey = isCloud(spec.kind);
  return (
    <Form
      onSubmit={() => save.mutate(undefined)}
      error={save.error}
      actions={
        <Answers
          action={save.isPending ? words.trying : common.save}
          isBusy={save.isPending}
          because={because}
          onCancel={onClose}
        />
      }
    >
      <TextField label={common.name} value={name} onChange={setName} />
      {spec.kind !== "internal" && (
        <TextField label={words.url} help={words.urlHelp} value={url} onChange={setUrl} />
      )}
      {spec.kind === "mounted" && (
        <TextField label={words.mountPoint} value={mount} onChange={setMount} />
      )}
      {hasKey && (
        <>
          <KeyFields
            kind={spec.kind}
            label={words.accessKey}
            {...own}
            isKnown={Boolean(spec.access_key)}
            onChange={(id, secret) => setOwn({ id, secret })}
          />
          <KeyFields
            kind={spec.kind}
            label={words.agentKey}
            {...agent}
            isKnown={Boolean(spec.agent_access_key)}
            onChange={(id, secret) => setAgent({ id, secret })}
          />
        </>
      )}
      {who.isSystem && (
        <Checkbox label={words.isSharedLong} checked={isShared} onChange={setShared} />
      )}
    </Form>
  );
}
