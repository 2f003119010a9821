import { unchanged, useChange } from "../../../api/change";
import { api, ask } from "../../../api/client";
import type { Consistency, Kind, Resource, ResourceSpec } from "../../../api/types";
import { useBecause } from "../../../app/because";
import { useWho } from "../../../app/session";
import { Answers } from "../../../parts/field/Answers";
import { Fields, Form } from "../../../parts/field/Form";
import { Checkbox, SelectField, TextField } from "../../../parts/field/inputs";
import { useDraft } from "../../../parts/field/saved";
import { useWords } from "../../../words";
import { CONNECTORS, KINDS } from "../choices";
import { type Draft, specOf } from "./draft";
import { PartFields } from "./PartFields";
import { PlaceFields } from "./PlaceFields";

const LEVELS: readonly Consistency[] = ["application", "filesystem", "crash", "none"];

interface Props {
  initial: Draft;
  /** None: it is added. */
  resource?: Resource;
  onDone: (resource: Resource) => unknown;
  onCancel?: () => void;
  isSaved?: boolean;
}

/** What is to be protected, and how. */
export function ResourceForm({ initial, resource, onDone, onCancel, isSaved = false }: Props) {
  const { resources: words, storages, common, kinds, consistency: levels } = useWords();
  const who = useWho();
  const isLost = useBecause();
  const { draft, change, isAsBegun } = useDraft(initial);
  const save = useChange(
    ["resource", "status"],
    () => {
      const body = { name: draft.name, spec: specOf(draft) as ResourceSpec };
      if (!resource) return ask(api.POST("/api/v1/resources", { body }));
      const params = { path: { id: resource.id }, header: unchanged(resource) };
      return ask(api.PATCH("/api/v1/resources/{id}", { params, body }));
    },
    (made) => onDone(made as Resource),
  );
  const because = who.may("change")
    ? (isLost ?? (draft.name ? undefined : words.nameFirst))
    : common.notAllowed;
  return (
    <Form
      onSubmit={() => !because && save.mutate(undefined)}
      error={save.error}
      actions={
        <Answers
          action={resource ? common.save : common.add}
          isBusy={save.isPending}
          because={because}
          onCancel={onCancel}
          isSaved={isSaved && isAsBegun}
        />
      }
    >
      <Fields>
        <TextField
          label={common.name}
          help={storages.nameHelp}
          value={draft.name}
          onChange={(name) => change({ name })}
        />
        <SelectField
          label={common.kind}
          value={draft.kind}
          onChange={(kind) =>
            change({ kind: kind as Kind, connector: CONNECTORS[kind]?.[0] ?? "" })
          }
        >
          {KINDS.map((kind) => (
            <option key={kind} value={kind}>
              {kinds[kind]}
            </option>
          ))}
        </SelectField>
      </Fields>
      {draft.kind === "application" ? (
        <PartFields parts={draft.parts} onChange={(parts) => change({ parts })} />
      ) : (
        <PlaceFields draft={draft} change={change} />
      )}
      <Checkbox
        label={words.isProtected}
        help={words.isProtectedHelp}
        checked={draft.isProtected}
        onChange={(isProtected) => change({ isProtected })}
      />
      <Fields>
        <TextField
          label={words.tags}
          help={words.tagsHelp}
          value={draft.tags}
          onChange={(tags) => change({ tags })}
        />
        <SelectField
          label={words.wanted}
          help={words.wantedHelp}
          value={draft.consistency}
          onChange={(value) => change({ consistency: value as Draft["consistency"] })}
        >
          <option value="">{words.best}</option>
          {LEVELS.map((level) => (
            <option key={level} value={level}>
              {levels[level]}
            </option>
          ))}
        </SelectField>
      </Fields>
    </Form>
  );
}
