import { useQuery } from "@tanstack/react-query";
import { resources as resourcesQuery } from "../../../api/queries";
import { Button } from "../../../parts/button/Button";
import { SelectField, TextField } from "../../../parts/field/inputs";
import { useSeveral } from "../../../parts/field/several";
import { useWords } from "../../../words";
import style from "../Resources.module.css";
import type { Part } from "./draft";

/** What an application is made of: restored in this order, frozen together with its group. */
export function PartFields({ parts, onChange }: { parts: Part[]; onChange: (to: Part[]) => void }) {
  const { resources: words, common } = useWords();
  const known = useQuery(resourcesQuery);
  const names = (known.data?.items ?? [])
    .filter(({ spec }) => spec.kind !== "application")
    .map(({ name }) => name);
  const { each, add } = useSeveral(parts, onChange);
  return (
    <fieldset className={style.group}>
      <legend>{words.components}</legend>
      <p className={style.quiet}>{words.componentsHelp}</p>
      {each.map(({ key, one: part, change, remove }, at) => (
        <div key={key} className={style.row}>
          <SelectField
            label={words.resource}
            value={part.resource}
            onChange={(resource) => change({ resource })}
          >
            <option value="">{words.choose}</option>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </SelectField>
          <TextField
            label={words.order}
            type="number"
            min={0}
            placeholder={String(at)}
            value={part.order}
            onChange={(order) => change({ order })}
          />
          <TextField
            label={words.group}
            value={part.group}
            onChange={(group) => change({ group })}
          />
          <Button onClick={remove}>
            {common.remove}
            <span className="unseen">: {part.resource}</span>
          </Button>
        </div>
      ))}
      <div>
        <Button onClick={() => add({ resource: "", order: "", group: "" })}>
          {words.addComponent}
        </Button>
      </div>
    </fieldset>
  );
}
