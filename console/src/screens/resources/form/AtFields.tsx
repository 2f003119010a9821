import { Button } from "../../../parts/button/Button";
import { TextField } from "../../../parts/field/inputs";
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
  const put = (at: number, over: Partial<Pair>) =>
    onChange(pairs.map((pair, index) => (index === at ? { ...pair, ...over } : pair)));
  return (
    <fieldset className={style.group}>
      <legend>{label}</legend>
      <p className={style.quiet}>{help ?? words.atHelp}</p>
      {pairs.map(({ key, value }, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: its name is being written
        <div key={at} className={style.row}>
          <TextField label={words.field} value={key} onChange={(next) => put(at, { key: next })} />
          <TextField
            label={words.value}
            value={value}
            onChange={(next) => put(at, { value: next })}
          />
          <Button onClick={() => onChange(pairs.filter((_, index) => index !== at))}>
            {words.removeField}
            <span className="unseen">: {key}</span>
          </Button>
        </div>
      ))}
      <div>
        <Button onClick={() => onChange([...pairs, { key: "", value: "" }])}>
          {words.addField}
        </Button>
      </div>
    </fieldset>
  );
}
