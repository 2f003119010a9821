import { useQuery } from "@tanstack/react-query";
import { agents } from "../../api/queries";
import { useWho } from "../../app/session";
import { Fields } from "../../parts/field/Form";
import { Checkbox, SelectField, TextField } from "../../parts/field/inputs";
import { Panel } from "../../parts/panel/Panel";
import { useWords } from "../../words";
import type { Asked, Beside, What } from "./asked";
import style from "./New.module.css";
import { Place } from "./Place";

interface Props {
  asked: Asked;
  what: What;
  names: string[];
  change: (over: Partial<Asked>) => void;
  isTried: boolean;
}

export function WherePanel({ asked, what, names, change, isTried }: Props) {
  const { restore } = useWords();
  const words = restore.new;
  return (
    <Panel title={words.where}>
      <div className={style.panel}>
        {what === "files" && <Directory {...{ asked, change }} />}
        {what === "all" && <p>{words.allInPlace}</p>}
        {what === "part" && names.length === 0 && <p>{words.chooseFirst}</p>}
        {what === "part" &&
          names.map((name) => (
            <Place
              key={name}
              name={name}
              beside={asked.beside?.[name]}
              isTried={isTried}
              onChange={(beside) => change({ beside: withBeside(asked.beside, name, beside) })}
            />
          ))}
        {what !== "files" && (
          <Checkbox
            label={words.undoPoint}
            help={words.undoPointWords}
            checked={!asked.bare}
            onChange={(is) => change({ bare: is ? undefined : true })}
          />
        )}
      </div>
    </Panel>
  );
}

function withBeside(all: Asked["beside"], name: string, beside: Beside | undefined) {
  const { [name]: _, ...others } = all ?? {};
  return beside ? { ...others, [name]: beside } : others;
}

function Directory({ asked, change }: Pick<Props, "asked" | "change">) {
  const { restore } = useWords();
  const words = restore.new;
  const who = useWho();
  const known = useQuery(agents);
  if (!who.isSystem) return <p>{words.onlySystem}</p>;
  return (
    <>
      <Fields>
        <TextField
          label={words.to}
          help={words.toHelp}
          placeholder="/srv/restored"
          value={asked.to ?? ""}
          onChange={(to) => change({ to: to || undefined })}
        />
        <SelectField
          label={words.host}
          value={asked.agent ?? ""}
          onChange={(agent) => change({ agent: agent || undefined })}
        >
          <option value="">{words.ownHost}</option>
          {known.data?.items.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </SelectField>
      </Fields>
      <Checkbox
        label={words.overwrite}
        help={words.overwriteWords}
        checked={asked.overwrite === true}
        onChange={(is) => change({ overwrite: is ? true : undefined })}
      />
    </>
  );
}
