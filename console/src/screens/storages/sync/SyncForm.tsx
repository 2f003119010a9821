import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { sent, unchanged, useChange } from "../../../api/change";
import { api, ask } from "../../../api/client";
import { storages as storagesQuery } from "../../../api/queries";
import type { Storage, SyncRule } from "../../../api/types";
import { useBecause } from "../../../app/because";
import { Answers } from "../../../parts/field/Answers";
import { Fields, Form } from "../../../parts/field/Form";
import { Checkbox, SelectField, TextField } from "../../../parts/field/inputs";
import { FrequencyFields } from "../../../parts/period/FrequencyFields";
import type { PeriodDraft } from "../../../parts/period/period";
import { ownZone } from "../../../parts/period/zone";
import { useWords } from "../../../words";
import { type Draft, specOf, syncDraft } from "./draft";

interface Props {
  rule?: SyncRule | undefined;
  storage: Storage;
  onClose: () => void;
}

export function SyncForm({ rule, storage, onClose }: Props) {
  const { storages, common } = useWords();
  const words = storages.sync;
  const because = useBecause();
  const known = useQuery(storagesQuery);
  const names = known.data?.items.map(({ name }) => name) ?? [];
  const [draft, setDraft] = useState<Draft>(() => syncDraft(rule, storage.name, ownZone()));
  const change = (over: Partial<Draft>) => setDraft((now) => ({ ...now, ...over }));
  const put = (over: Partial<PeriodDraft>) => change({ period: { ...draft.period, ...over } });
  const save = useChange(
    ["sync"],
    () => {
      const body = { name: draft.name, spec: sent(specOf(draft)) };
      if (!rule) return ask(api.POST("/api/v1/syncs", { body }));
      const params = { path: { id: rule.id }, header: unchanged(rule) };
      return ask(api.PATCH("/api/v1/syncs/{id}", { params, body }));
    },
    onClose,
  );
  return (
    <Form
      onSubmit={() => save.mutate(undefined)}
      error={save.error}
      actions={
        <Answers
          action={rule ? common.save : common.add}
          isBusy={save.isPending}
          because={because ?? (draft.name ? undefined : words.nameFirst)}
          onCancel={onClose}
        />
      }
    >
      <TextField
        label={common.name}
        help={storages.nameHelp}
        value={draft.name}
        onChange={(name) => change({ name })}
      />
      <Fields>
        <SelectField label={words.from} value={draft.from} onChange={(from) => change({ from })}>
          <option value="">{words.allOthers}</option>
          {names.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </SelectField>
        <SelectField label={words.to} value={draft.to} onChange={(to) => change({ to })}>
          {names.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </SelectField>
        <FrequencyFields draft={draft.period} change={put} />
        <TextField
          label={words.keeps}
          help={words.keepsHelp}
          value={draft.period.retention}
          onChange={(retention) => put({ retention })}
        />
        <TextField
          label={words.minimum}
          type="number"
          min={0}
          value={draft.period.minimum}
          onChange={(minimum) => put({ minimum })}
        />
      </Fields>
      <TextField label={common.note} value={draft.note} onChange={(note) => change({ note })} />
      <Checkbox
        label={words.isOn}
        checked={draft.isEnabled}
        onChange={(isEnabled) => change({ isEnabled })}
      />
    </Form>
  );
}
