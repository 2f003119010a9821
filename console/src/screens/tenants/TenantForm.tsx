import { unchanged, useChange } from "../../api/change";
import { api, ask } from "../../api/client";
import type { Tenant } from "../../api/types";
import { useBecause } from "../../app/because";
import { Answers } from "../../parts/field/Answers";
import { Fields, Form } from "../../parts/field/Form";
import { Checkbox, TextField } from "../../parts/field/inputs";
import { useDraft } from "../../parts/field/saved";
import { useWords } from "../../words";
import { draftOf, specOf } from "./draft";

interface Props {
  tenant?: Tenant;
  onDone: (tenant: Tenant) => unknown;
  onCancel?: () => void;
  isSaved?: boolean;
}

/** What a tenant is, may, and may take. */
export function TenantForm({ tenant, onDone, onCancel, isSaved = false }: Props) {
  const { tenants: words, storages, common } = useWords();
  const because = useBecause();
  const { draft, change, isAsBegun } = useDraft(() =>
    draftOf(tenant?.name ?? "", tenant?.spec ?? {}),
  );
  const save = useChange(
    ["tenant"],
    () => {
      const body = { name: draft.name, spec: specOf(draft) };
      if (!tenant) return ask(api.POST("/api/v1/tenants", { body }));
      const params = { path: { id: tenant.id }, header: unchanged(tenant) };
      return ask(api.PATCH("/api/v1/tenants/{id}", { params, body }));
    },
    onDone,
  );
  return (
    <Form
      onSubmit={() => save.mutate(undefined)}
      error={save.error}
      actions={
        <Answers
          action={tenant ? common.save : common.add}
          isBusy={save.isPending}
          because={because}
          onCancel={onCancel}
          isSaved={isSaved && isAsBegun}
        />
      }
    >
      <TextField
        label={common.name}
        help={storages.nameHelp}
        value={draft.name}
        onChange={(name) => change({ name })}
      />
      <TextField
        label={words.description}
        value={draft.description}
        onChange={(description) => change({ description })}
      />
      <Checkbox
        label={words.entitled}
        help={words.entitledHelp}
        checked={draft.isEntitled}
        onChange={(isEntitled) => change({ isEntitled })}
      />
      <Checkbox
        label={words.maySnapshot}
        checked={draft.maySnapshot}
        onChange={(maySnapshot) => change({ maySnapshot })}
      />
      <Checkbox
        label={words.mayRestore}
        checked={draft.mayRestore}
        onChange={(mayRestore) => change({ mayRestore })}
      />
      <Fields>
        <TextField
          label={words.quota}
          help={words.quotaHelp}
          inputMode="decimal"
          value={draft.quota}
          onChange={(quota) => change({ quota })}
        />
        <TextField
          label={words.atOnce}
          type="number"
          min={1}
          value={draft.atOnce}
          onChange={(atOnce) => change({ atOnce })}
        />
        <TextField
          label={words.lockDays}
          help={words.lockDaysHelp}
          type="number"
          min={0}
          value={draft.lockDays}
          onChange={(lockDays) => change({ lockDays })}
        />
      </Fields>
    </Form>
  );
}
