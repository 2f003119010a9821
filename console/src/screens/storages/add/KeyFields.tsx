import type { StorageKind } from "../../../api/types";
import { Fields } from "../../../parts/field/Form";
import { SelectField, TextArea, TextField } from "../../../parts/field/inputs";
import { useWords } from "../../../words";

interface Props {
  kind: StorageKind;
  label: string;
  id: string;
  secret: string;
  /** One is known already: without a new one it stays. */
  isKnown?: boolean;
  onChange: (id: string, secret: string) => void;
}

/** Who one is to a cloud; what that is called there differs. */
export function KeyFields({ kind, label, id, secret, isKnown, onChange }: Props) {
  const { storages } = useWords();
  const words = storages.keyFields;
  const secretHelp = isKnown ? words.stays : undefined;
  const setId = (next: string) => onChange(next, secret);
  const setSecret = (next: string) => onChange(id, next);
  if (kind === "azure") {
    return (
      <Fields>
        <SelectField label={label} value={id} onChange={setId}>
          <option value="">{words.byEnvironment}</option>
          <option value="account-key">{words.accountKey}</option>
          <option value="sas">{words.sas}</option>
        </SelectField>
        <Secret value={secret} help={secretHelp} onChange={setSecret} />
      </Fields>
    );
  }
  if (kind === "google") {
    return (
      <>
        <TextField label={`${label}: ${words.email}`} value={id} onChange={setId} />
        <TextArea
          label={words.keyFile}
          help={secretHelp ?? words.keyFileHelp}
          rows={4}
          value={secret}
          onChange={setSecret}
        />
      </>
    );
  }
  return (
    <Fields>
      <TextField label={label} help={words.s3Help} value={id} onChange={setId} />
      <Secret value={secret} help={secretHelp} onChange={setSecret} />
    </Fields>
  );
}

interface SecretProps {
  value: string;
  help: string | undefined;
  onChange: (secret: string) => void;
}

function Secret({ value, help, onChange }: SecretProps) {
  const { storages } = useWords();
  return (
    <TextField
      label={storages.keyFields.secret}
      type="password"
      autoComplete="new-password"
      help={help}
      value={value}
      onChange={onChange}
    />
  );
}
