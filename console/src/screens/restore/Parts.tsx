import { Checkbox } from "../../parts/field/inputs";
import { Told } from "../../parts/told/Told";
import { useFormat, useWords } from "../../words";
import { type Choice, toggled } from "./choices";
import style from "./New.module.css";

interface Props {
  choices: Choice[];
  chosen: string[];
  onChange: (chosen: string[]) => void;
}

/** Resources and applications to choose from; what cannot be restored says why. */
export function Parts({ choices, chosen, onChange }: Props) {
  const { restore: words } = useWords();
  return (
    <fieldset className={style.parts}>
      <legend>{words.new.resources}</legend>
      <ul>
        {choices.map((choice) => (
          <li key={choice.name}>
            <One choice={choice} is={chosen.includes(choice.name)} {...{ chosen, onChange }} />
            {choice.parts.length > 0 && (
              <ul className={style.inner}>
                {choice.parts.map((part) => (
                  <li key={part.name}>
                    <One
                      choice={part}
                      is={chosen.includes(choice.name) || chosen.includes(part.name)}
                      isWithin={chosen.includes(choice.name)}
                      {...{ chosen, onChange }}
                    />
                  </li>
                ))}
              </ul>
            )}
          </li>
        ))}
      </ul>
    </fieldset>
  );
}

interface OneProps extends Omit<Props, "choices"> {
  choice: Choice;
  is: boolean;
  /** It comes with its application. */
  isWithin?: boolean;
}

function One({ choice, is, isWithin, chosen, onChange }: OneProps) {
  const { kinds } = useWords();
  const format = useFormat();
  const { because } = choice;
  return (
    <Checkbox
      label={choice.name}
      help={
        because ? <Told of={because} /> : `${kinds[choice.kind]}, ${format.bytes(choice.bytes)}`
      }
      checked={is && !because}
      disabled={Boolean(because) || Boolean(isWithin)}
      onChange={(next) => onChange(toggled(chosen, choice, next))}
    />
  );
}
