import { useQuery } from "@tanstack/react-query";
import { resources, storages } from "../../../api/queries";
import { Checkbox, Radios, SelectField, TextField } from "../../../parts/field/inputs";
import { useWords } from "../../../words";
import style from "../Schedules.module.css";
import type { Draft } from "./draft";

interface Props {
  draft: Draft;
  change: (over: Partial<Draft>) => void;
}

/** What it takes, and where to. */
export function ScopeFields({ draft, change }: Props) {
  const { schedules, snapshots, common } = useWords();
  const words = schedules.scope;
  const places = useQuery(storages);
  return (
    <>
      <Radios
        label={words.title}
        name="scope"
        value={draft.scope}
        of={[
          { value: "full", label: snapshots.scopes.full ?? "", help: words.full },
          { value: "partial", label: snapshots.scopes.partial ?? "", help: words.partial },
        ]}
        onChange={(scope) => change({ scope, rest: {} })}
      />
      {draft.scope === "partial" && <Chosen draft={draft} change={change} />}
      <SelectField
        label={common.storage}
        value={draft.storage}
        onChange={(storage) => change({ storage })}
      >
        <option value="">{snapshots.new.storageDefault}</option>
        {places.data?.items.map(({ id, name }) => (
          <option key={id}>{name}</option>
        ))}
      </SelectField>
    </>
  );
}

function Chosen({ draft, change }: Props) {
  const { schedules, kinds, snapshots } = useWords();
  const words = schedules.scope;
  const known = useQuery(resources);
  const chosen = draft.resources;
  return (
    <>
      <TextField
        label={words.tags}
        help={words.tagsHelp}
        value={draft.tags}
        onChange={(tags) => change({ tags })}
      />
      <fieldset className={style.choices}>
        <legend>{words.resources}</legend>
        {known.data?.items.length === 0 && <p>{snapshots.new.noResources}</p>}
        {known.data?.items.map(({ id, name, spec }) => (
          <Checkbox
            key={id}
            label={name}
            help={kinds[spec.kind]}
            checked={chosen.includes(name)}
            onChange={(is) =>
              change({
                resources: is ? [...chosen, name] : chosen.filter((each) => each !== name),
              })
            }
          />
        ))}
      </fieldset>
    </>
  );
}
