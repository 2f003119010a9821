import { useQuery } from "@tanstack/react-query";
import { agents, connectors } from "../../../api/queries";
import { Fields } from "../../../parts/field/Form";
import { SelectField, TextArea } from "../../../parts/field/inputs";
import { useWords } from "../../../words";
import { CONNECTORS } from "../choices";
import { AtFields } from "./AtFields";
import type { Draft } from "./draft";

/** On which host it is, what reads it, and where it is found there. */
export function PlaceFields({
  draft,
  change,
}: {
  draft: Draft;
  change: (over: Partial<Draft>) => void;
}) {
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
