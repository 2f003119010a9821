import { Field } from "../../../parts/field/Field";

interface Props {
  label: string;
  help?: string;
  wrong?: string | undefined;
  onChoose: (file: File | undefined) => void;
}

export function FileField({ label, help, wrong, onChoose }: Props) {
  return (
    <Field label={label} help={help} wrong={wrong}>
      {(described) => (
        <input
          type="file"
          accept=".zip,.age"
          {...described}
          onChange={(event) => onChoose(event.target.files?.[0])}
        />
      )}
    </Field>
  );
}
