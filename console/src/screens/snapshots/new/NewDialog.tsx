import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask } from "../../../api/client";
import { resources, storages } from "../../../api/queries";
import type { SnapshotScope } from "../../../api/types";
import { useWho } from "../../../app/session";
import { Button } from "../../../parts/button/Button";
import { Modal } from "../../../parts/dialog/Modal";
import { Form } from "../../../parts/field/Form";
import { Checkbox, type Choice, Radios, SelectField, TextField } from "../../../parts/field/inputs";
import { useWords } from "../../../words";
import { asked, DRAFT, type Draft, isWhole } from "./draft";
import style from "./NewDialog.module.css";

export function NewDialog({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const { snapshots } = useWords();
  return (
    <Modal title={snapshots.new.title} isOpen={isOpen} onClose={onClose}>
      <NewForm onClose={onClose} />
    </Modal>
  );
}

function NewForm({ onClose }: { onClose: () => void }) {
  const { snapshots, common } = useWords();
  const words = snapshots.new;
  const who = useWho();
  const client = useQueryClient();
  const navigate = useNavigate();
  const mayAll = who.may("system");
  const [draft, setDraft] = useState<Draft>({ ...DRAFT, scope: mayAll ? "full" : "partial" });
  const [isTried, setTried] = useState(false);
  const change = (over: Partial<Draft>) => setDraft((now) => ({ ...now, ...over }));
  const take = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/snapshots", { body: asked(draft) })),
    onSuccess: (run) => {
      client.invalidateQueries({ queryKey: ["run"] });
      navigate({ to: "/runs/$id", params: { id: run.id } });
    },
  });
  const submit = () => {
    setTried(true);
    if (isWhole(draft)) take.mutate();
  };
  const scopes: Choice<SnapshotScope>[] = who.isSystem
    ? [
        { value: "full", label: snapshots.scopes.full, help: words.fullWords, disabled: !mayAll },
        { value: "partial", label: snapshots.scopes.partial, help: words.partialWords },
        {
          value: "manager",
          label: snapshots.scopes.manager,
          help: words.managerWords,
          disabled: !mayAll,
        },
      ]
    : [
        { value: "tenant", label: snapshots.scopes.tenant, help: words.tenantWords },
        { value: "partial", label: snapshots.scopes.partial, help: words.partialWords },
      ];
  return (
    <Form
      onSubmit={submit}
      error={take.error}
      actions={
        <>
          <Button onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" kind="primary" isBusy={take.isPending}>
            {words.start}
          </Button>
        </>
      }
    >
      <Radios
        label={words.scope}
        name="scope"
        value={draft.scope}
        of={scopes}
        onChange={(scope) => change({ scope })}
      />
      {draft.scope === "partial" && (
        <Chosen
          names={draft.resources}
          isTried={isTried}
          onChange={(names) => change({ resources: names })}
        />
      )}
      <TextField label={words.note} value={draft.note} onChange={(note) => change({ note })} />
      <TextField
        label={words.keep}
        help={words.keepHelp}
        value={draft.keep}
        onChange={(keep) => change({ keep })}
      />
      <More draft={draft} change={change} />
    </Form>
  );
}

interface ChosenProps {
  names: string[];
  isTried: boolean;
  onChange: (names: string[]) => void;
}

function Chosen({ names, isTried, onChange }: ChosenProps) {
  const { snapshots, kinds } = useWords();
  const words = snapshots.new;
  const known = useQuery(resources);
  const items = known.data?.items ?? [];
  if (known.data && items.length === 0) return <p>{words.noResources}</p>;
  return (
    <fieldset className={style.resources}>
      <legend>{words.resources}</legend>
      <div className={style.list}>
        {items.map(({ id, name, spec }) => (
          <Checkbox
            key={id}
            label={name}
            help={kinds[spec.kind]}
            checked={names.includes(name)}
            onChange={(is) =>
              onChange(is ? [...names, name] : names.filter((each) => each !== name))
            }
          />
        ))}
      </div>
      {isTried && names.length === 0 && (
        <p className={style.wrong} role="alert">
          {words.resourcesWrong}
        </p>
      )}
    </fieldset>
  );
}

function More({ draft, change }: { draft: Draft; change: (over: Partial<Draft>) => void }) {
  const { snapshots } = useWords();
  const words = snapshots.new;
  const who = useWho();
  const known = useQuery(storages);
  return (
    <details className={style.more}>
      <summary>{words.more}</summary>
      <div className={style.choices}>
        <TextField label={words.name} value={draft.name} onChange={(name) => change({ name })} />
        <SelectField
          label={words.storage}
          value={draft.storage}
          onChange={(storage) => change({ storage })}
        >
          <option value="">{words.storageDefault}</option>
          {known.data?.items.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </SelectField>
        <Checkbox
          label={words.quiesce}
          help={words.quiesceWords}
          checked={draft.quiesce}
          onChange={(quiesce) => change({ quiesce })}
        />
        {who.isSystem && (
          <Checkbox
            label={words.private}
            help={words.privateWords}
            checked={draft.isPrivate}
            onChange={(isPrivate) => change({ isPrivate })}
          />
        )}
      </div>
    </details>
  );
}
