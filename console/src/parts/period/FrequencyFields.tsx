import { useWords } from "../../words";
import { SelectField, TextField } from "../field/inputs";
import { type PeriodDraft, PRESETS, type Preset, WEEKDAYS } from "./period";
import { ZoneField } from "./ZoneField";

interface Props {
  draft: PeriodDraft;
  change: (over: Partial<PeriodDraft>) => void;
}

const MONTHS = Array.from({ length: 12 }, (_, index) => String(index + 1));
const HAS_TIME: readonly Preset[] = ["daily", "weekly", "monthly", "yearly"];
const HAS_DAY: readonly Preset[] = ["monthly", "yearly"];

/** How often, at what time, on whose clock. */
export function FrequencyFields({ draft, change }: Props) {
  const { times: words } = useWords();
  const { preset } = draft;
  return (
    <>
      <SelectField
        label={words.frequency}
        value={preset}
        onChange={(value) => change({ preset: value as Preset })}
      >
        {PRESETS.map((each) => (
          <option key={each} value={each}>
            {words.presets[each]}
          </option>
        ))}
      </SelectField>
      {preset === "hourly" && (
        <TextField
          label={words.minute}
          type="number"
          min={0}
          max={59}
          value={draft.minute}
          onChange={(minute) => change({ minute })}
        />
      )}
      {preset === "weekly" && (
        <SelectField
          label={words.weekday}
          value={draft.weekday}
          onChange={(value) => change({ weekday: value as PeriodDraft["weekday"] })}
        >
          {WEEKDAYS.map((day) => (
            <option key={day} value={day}>
              {words.weekdays[day]}
            </option>
          ))}
        </SelectField>
      )}
      {preset === "yearly" && (
        <SelectField
          label={words.month}
          value={draft.month}
          onChange={(month) => change({ month })}
        >
          {MONTHS.map((month, index) => (
            <option key={month} value={month}>
              {words.months[index]}
            </option>
          ))}
        </SelectField>
      )}
      {HAS_DAY.includes(preset) && (
        <TextField
          label={words.day}
          help={words.dayHelp}
          type="number"
          min={1}
          max={31}
          value={draft.day}
          onChange={(day) => change({ day })}
        />
      )}
      {HAS_TIME.includes(preset) && (
        <TextField
          label={words.time}
          type="time"
          value={draft.time}
          onChange={(time) => change({ time })}
        />
      )}
      {preset === "cron" && (
        <TextField
          label={words.cron}
          help={words.cronHelp}
          value={draft.cron}
          onChange={(cron) => change({ cron })}
        />
      )}
      <ZoneField value={draft.zone} onChange={(zone) => change({ zone })} />
    </>
  );
}
