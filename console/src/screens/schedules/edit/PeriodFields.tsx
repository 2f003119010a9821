import { Button } from "../../../parts/button/Button";
import { Fields } from "../../../parts/field/Form";
import { Checkbox, SelectField, TextField } from "../../../parts/field/inputs";
import { FrequencyFields } from "../../../parts/period/FrequencyFields";
import type { PeriodDraft } from "../../../parts/period/period";
import { WindowFields } from "../../../parts/period/WindowFields";
import { useFormat, useWords } from "../../../words";
import style from "../Schedules.module.css";

interface Props {
  draft: PeriodDraft;
  change: (over: Partial<PeriodDraft>) => void;
  onRemove?: (() => void) | undefined;
}

/** When, and for how long what it takes is kept. */
export function PeriodFields({ draft, change, onRemove }: Props) {
  const { schedules } = useWords();
  const format = useFormat();
  const words = schedules.period;
  return (
    <fieldset className={style.period}>
      <legend>{words.title(draft.name)}</legend>
      <Fields>
        <TextField
          label={words.name}
          help={words.nameHelp}
          value={draft.name}
          onChange={(name) => change({ name })}
        />
        <FrequencyFields draft={draft} change={change} />
        <TextField
          label={words.retention}
          help={format.retention(draft.retention) ?? words.retentionHelp}
          value={draft.retention}
          onChange={(retention) => change({ retention })}
        />
        <TextField
          label={words.minimum}
          help={words.minimumHelp}
          type="number"
          min={0}
          value={draft.minimum}
          onChange={(minimum) => change({ minimum })}
        />
      </Fields>
      <Checkbox
        label={words.quiesce}
        help={words.quiesceHelp}
        checked={draft.quiesce}
        onChange={(quiesce) => change({ quiesce })}
      />
      <Checkbox
        label={words.immutable}
        help={words.immutableHelp}
        checked={draft.isImmutable}
        onChange={(isImmutable) => change({ isImmutable })}
      />
      {draft.isImmutable && (
        <TextField
          label={words.unlockDays}
          type="number"
          min={0}
          value={draft.unlockDays}
          onChange={(unlockDays) => change({ unlockDays })}
        />
      )}
      <details className={style.more}>
        <summary>{words.more}</summary>
        <div className={style.inner}>
          <Fields>
            <SelectField
              label={words.missed}
              value={draft.missed}
              onChange={(value) => change({ missed: value as PeriodDraft["missed"] })}
            >
              <option value="once">{words.missedOnce}</option>
              <option value="skip">{words.missedSkip}</option>
            </SelectField>
            <TextField
              label={words.jitter}
              help={words.jitterHelp}
              type="number"
              min={0}
              max={720}
              value={draft.jitter}
              onChange={(jitter) => change({ jitter })}
            />
          </Fields>
          <WindowFields
            label={words.blackouts}
            windows={draft.blackouts}
            fresh={{ days: [], from: "08:00", to: "18:00" }}
            onChange={(blackouts) => change({ blackouts })}
          />
        </div>
      </details>
      {onRemove && (
        <div>
          <Button onClick={onRemove}>{words.remove}</Button>
        </div>
      )}
    </fieldset>
  );
}
