import type { ReactNode } from "react";
import type { Blackout, Weekday } from "../../api/types";
import { useWords } from "../../words";
import { Button } from "../button/Button";
import { Checkbox, TextField } from "../field/inputs";
import { useSeveral } from "../field/several";
import { WEEKDAYS } from "./period";
import style from "./WindowFields.module.css";

interface Props<W extends Blackout> {
  label: string;
  windows: W[];
  /** What a new one is. */
  fresh: W;
  onChange: (windows: W[]) => void;
  /** What else is said about each. */
  more?: (window: W, change: (over: Partial<W>) => void) => ReactNode;
}

/** Times of the week: on which days, from when to when. */
export function WindowFields<W extends Blackout>(props: Props<W>) {
  const { times: words } = useWords();
  const { each, add } = useSeveral(props.windows, props.onChange);
  return (
    <fieldset className={style.windows}>
      <legend>{props.label}</legend>
      {each.map(({ key, one: window, change, remove }, at) => (
        <fieldset key={key} className={style.window}>
          <legend className="unseen">{words.window(at + 1)}</legend>
          <Days days={window.days ?? []} onChange={(days) => change({ days } as Partial<W>)} />
          <div className={style.times}>
            <TextField
              label={words.from}
              type="time"
              value={window.from}
              onChange={(from) => change({ from } as Partial<W>)}
            />
            <TextField
              label={words.to}
              type="time"
              value={window.to}
              onChange={(to) => change({ to } as Partial<W>)}
            />
            {props.more?.(window, change)}
            <Button onClick={remove}>{words.removeWindow}</Button>
          </div>
        </fieldset>
      ))}
      <div>
        <Button onClick={() => add(props.fresh)}>{words.addWindow}</Button>
      </div>
    </fieldset>
  );
}

function Days({ days, onChange }: { days: Weekday[]; onChange: (days: Weekday[]) => void }) {
  const { times: words } = useWords();
  return (
    <div className={style.days}>
      {WEEKDAYS.map((day) => (
        <Checkbox
          key={day}
          label={words.shortWeekdays[day]}
          checked={days.includes(day)}
          onChange={(is) =>
            onChange(WEEKDAYS.filter((each) => (each === day ? is : days.includes(each))))
          }
        />
      ))}
      {days.length === 0 && <span className={style.quiet}>{words.everyDay}</span>}
    </div>
  );
}
