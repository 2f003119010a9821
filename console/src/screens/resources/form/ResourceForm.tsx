import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { unchanged, useChange } from "../../../api/change";
import { api, ask } from "../../../api/client";
import { agents, connectors } from "../../../api/queries";
import type { Consistency, Kind, Resource, ResourceSpec } from "../../../api/types";
import { useBecause } from "../../../app/because";
import { useWho } from "../../../app/session";
import { Answers } from "../../../parts/field/Answers";
import { Fields, Form } from "../../../parts/field/Form";
import { Checkbox, SelectField, TextArea, TextField } from "../../../parts/field/inputs";
import { useWords } from "../../../words";
import { CONNECTORS, KINDS } from "../choices";
import { AtFields } from "./AtFields";
import { type Draft, specOf } from "./draft";
import { PartFields } from "./PartFields";

const LEVELS: readonly Consistency[] = ["application", "filesystem", "crash", "none"];

interface Props {
  initial: Draft;
  /** None: it is added. */
  resource?: Resource;
  onDone: (resource: Resource) => unknown;
  onCancel?: () => void;
}

/** What is to be protected, and how. */
export function ResourceForm({ initial, resource, onDone, onCancel }: Props) {
  const { resources: words, storages, common, kinds, consistency: levels } = useWords();
  const who = useWho();
  const isLost = useBecause();
  const [draft, setDraft] = useState(initial);
  const change = (over: Partial<Draft>) => setDraft((now) => ({ ...now, ...over }));
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
        <Place draft={draft} change={change} />
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

function Place({ draft, change }: { draft: Draft; change: (over: Partial<Draft>) => void }) {
  const { resources: words } = useWords();
  const hosts = useQuery(agents);
  const servers = useQuery(connectors);
  return (
    <>
      <Fields>
        <SelectField label={words.host} value={draft.agent} onChange={(agent) => change({ agent })}>
          <option value="">{words.ownHost}</option>
          {hosts.data?.items.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </SelectField>
        <SelectField
          label={words.connector}
          value={draft.connector}
          onChange={(connector) => change({ connector })}
        >
          {(CONNECTORS[draft.kind] ?? []).map((each) => (
            <option key={each}>{each}</option>
          ))}
        </SelectField>
        {(servers.data?.items.length ?? 0) > 0 && (
          <SelectField
            label={words.through}
            help={words.throughHelp}
            value={draft.through}
            onChange={(through) => change({ through })}
          >
            <option value="">{words.direct}</option>
            {servers.data?.items.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </SelectField>
        )}
      </Fields>
      <AtFields label={words.at} pairs={draft.at} onChange={(at) => change({ at })} />
      <TextArea
        label={words.excludes}
        help={words.excludesHelp}
        rows={3}
        value={draft.excludes}
        onChange={(excludes) => change({ excludes })}
      />
    </>
  );
}
