import { useQuery } from "@tanstack/react-query";
import { resources as resourcesQuery } from "../../../api/queries";
import { Button } from "../../../parts/button/Button";
import { SelectField, TextField } from "../../../parts/field/inputs";
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
  const put = (at: number, over: Partial<Part>) =>
    onChange(parts.map((part, index) => (index === at ? { ...part, ...over } : part)));
  return (
    <fieldset className={style.group}>
      <legend>{words.components}</legend>
      <p className={style.quiet}>{words.componentsHelp}</p>
      {parts.map((part, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: which one it is is being chosen
        <div key={at} className={style.row}>
          <SelectField
            label={words.resource}
            value={part.resource}
            onChange={(resource) => put(at, { resource })}
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
            onChange={(order) => put(at, { order })}
          />
          <TextField
            label={words.group}
            value={part.group}
            onChange={(group) => put(at, { group })}
          />
          <Button onClick={() => onChange(parts.filter((_, index) => index !== at))}>
            {common.remove}
            <span className="unseen">: {part.resource}</span>
          </Button>
        </div>
      ))}
      <div>
        <Button onClick={() => onChange([...parts, { resource: "", order: "", group: "" }])}>
          {words.addComponent}
        </Button>
      </div>
    </fieldset>
  );
}
