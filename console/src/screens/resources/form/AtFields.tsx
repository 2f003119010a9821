import { Button } from "../../../parts/button/Button";
import { TextField } from "../../../parts/field/inputs";
import { useSeveral } from "../../../parts/field/several";
import { useWords } from "../../../words";
import style from "../Resources.module.css";
import type { Pair } from "./pairs";

interface Props {
  label: string;
  help?: string;
  pairs: Pair[];
  onChange: (pairs: Pair[]) => void;
}

/** Where it is: names of fields, and what they say. */
export function AtFields({ label, help, pairs, onChange }: Props) {
  const { resources: words } = useWords();
  const { each, add } = useSeveral(pairs, onChange);
  return (
    <fieldset className={style.group}>
      <legend>{label}</legend>
      <p className={style.quiet}>{help ?? words.atHelp}</p>
      {each.map(({ key, one, change, remove }) => (
        <div key={key} className={style.row}>
          <TextField label={words.field} value={one.key} onChange={(key) => change({ key })} />
          <TextField
            label={words.value}
            value={one.value}
            onChange={(value) => change({ value })}
          />
          <Button onClick={remove}>
            {words.removeField}
            <span className="unseen">: {one.key}</span>
          </Button>
        </div>
      ))}
      <div>
        <Button onClick={() => add({ key: "", value: "" })}>{words.addField}</Button>
      </div>
    </fieldset>
  );
}
