import { useWords } from "../../words";
import { TextField } from "./inputs";

interface Props {
  name: string;
  typed: string;
  onChange: (typed: string) => void;
}

/** What destroys something asks for its name: nobody types a name by mistake. */
export function TypedName({ name, typed, onChange }: Props) {
  const { common } = useWords();
  return <TextField label={common.typeToConfirm(name)} value={typed} onChange={onChange} />;
}
