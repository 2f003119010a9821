import { useWho } from "../../app/session";
import { Fields } from "../../parts/field/Form";
import { Radios, TextArea, TextField } from "../../parts/field/inputs";
import { useWords } from "../../words";
import { type Beside, fieldsOf } from "./asked";
import style from "./New.module.css";

interface Props {
  name: string;
  beside: Beside | undefined;
  isTried: boolean;
  onChange: (beside: Beside | undefined) => void;
}

/** Where one resource goes: over what there is, or beside it under a name of its own. */
export function Place({ name, beside, isTried, onChange }: Props) {
  const { restore } = useWords();
  const words = restore.new;
  const who = useWho();
  return (
    <div className={style.place}>
      <Radios
        label={name}
        name={`place-${name}`}
        value={beside ? "new" : "same"}
        of={[
          { value: "same", label: words.inPlace, help: words.inPlaceWords },
          {
            value: "new",
            label: words.asNew,
            help: who.isSystem ? words.asNewWords : words.onlySystem,
            disabled: !who.isSystem,
          },
        ]}
        onChange={(way) =>
          onChange(way === "new" ? { name: `${name}-restored`, at: "", rules: "" } : undefined)
        }
      />
      {beside && (
        <Fields>
          <TextField
            label={words.newName}
            value={beside.name}
            wrong={isTried && !beside.name ? words.lacks.name : undefined}
            onChange={(next) => onChange({ ...beside, name: next })}
          />
          <Lines
            label={words.at}
            help={words.atHelp}
            value={beside.at}
            onChange={(at) => onChange({ ...beside, at })}
          />
          <Lines
            label={words.rules}
            help={words.rulesHelp}
            value={beside.rules}
            onChange={(rules) => onChange({ ...beside, rules })}
          />
        </Fields>
      )}
    </div>
  );
}

interface LinesProps {
  label: string;
  help: string;
  value: string;
  onChange: (value: string) => void;
}

function Lines(props: LinesProps) {
  const { restore } = useWords();
  const { wrong } = fieldsOf(props.value);
  return (
    <TextArea
      rows={2}
      {...props}
      wrong={wrong === undefined ? undefined : restore.new.wrong(wrong)}
    />
  );
}
