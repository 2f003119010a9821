import { useId } from "react";
import { useWords } from "../../words";
import { TextField } from "../field/inputs";

const ZONES = ["UTC", ...Intl.supportedValuesOf("timeZone")];

export function ZoneField({
  value,
  onChange,
}: {
  value: string;
  onChange: (zone: string) => void;
}) {
  const { times } = useWords();
  const id = useId();
  return (
    <>
      <TextField label={times.zone} list={id} value={value} onChange={onChange} />
      <datalist id={id}>
        {ZONES.map((zone) => (
          <option key={zone} value={zone} />
        ))}
      </datalist>
    </>
  );
}
