import type { ReactNode } from "react";
import { sent, unchanged, useChange } from "../../../api/change";
import { api, ask } from "../../../api/client";
import type { Profile, ProfileSpec } from "../../../api/types";
import { useBecause } from "../../../app/because";
import { useWho } from "../../../app/session";
import { Button } from "../../../parts/button/Button";
import { Answers } from "../../../parts/field/Answers";
import { Form } from "../../../parts/field/Form";
import { Checkbox, TextField } from "../../../parts/field/inputs";
import { useDraft } from "../../../parts/field/saved";
import { useSettled } from "../../../parts/field/settled";
import { useSeveral } from "../../../parts/field/several";
import { Panel } from "../../../parts/panel/Panel";
import { ownZone } from "../../../parts/period/zone";
import { useWords } from "../../../words";
import style from "../Schedules.module.css";
import { type Draft, further, specOf } from "./draft";
import { PeriodFields } from "./PeriodFields";
import { Reading } from "./Reading";
import { ScopeFields } from "./ScopeFields";

interface Props {
  initial: Draft;
  /** None: it is made. */
  profile?: Profile;
  onDone: (profile: Profile) => unknown;
  onCancel?: () => void;
  isSaved?: boolean;
  /** What else is said about what is written. */
  more?: (spec: ProfileSpec) => ReactNode;
}

/** A schedule while it is written: on one side what, on the other what that means. */
export function Editor({ initial, profile, onDone, onCancel, isSaved = false, more }: Props) {
  const { schedules: words, common, storages } = useWords();
  const who = useWho();
  const isLost = useBecause();
  const { draft, change, isAsBegun } = useDraft(initial);
  const settled = useSettled(specOf(draft));
  const save = useChange(
    ["profile", "status"],
    () => {
      const body = { name: draft.name, spec: sent(specOf(draft)) };
      if (!profile) return ask(api.POST("/api/v1/profiles", { body }));
      const params = { path: { id: profile.id }, header: unchanged(profile) };
      return ask(api.PATCH("/api/v1/profiles/{id}", { params, body }));
    },
    (made) => onDone(made as Profile),
  );
  const periods = useSeveral(draft.periods, (periods) => change({ periods }));
  const because = who.may("change")
    ? (isLost ?? (draft.name ? undefined : words.nameFirst))
    : common.notAllowed;
  return (
    <>
      <div className={style.editor}>
        <Panel title={words.what}>
          <Form
            onSubmit={() => !because && save.mutate(undefined)}
            error={save.error}
            actions={
              <Answers
                action={profile ? common.save : words.make}
                isBusy={save.isPending}
                because={because}
                onCancel={onCancel}
                isSaved={isSaved && isAsBegun}
              />
            }
          >
            <TextField
              label={common.name}
              help={storages.nameHelp}
              value={draft.name}
              onChange={(name) => change({ name })}
            />
            <Checkbox
              label={words.isOn}
              help={words.isOnHelp}
              checked={draft.isEnabled}
              onChange={(isEnabled) => change({ isEnabled })}
            />
            <ScopeFields draft={draft} change={change} />
            {periods.each.map((period) => (
              <PeriodFields
                key={period.key}
                draft={period.one}
                change={period.change}
                onRemove={draft.periods.length > 1 ? period.remove : undefined}
              />
            ))}
            <div>
              <Button onClick={() => periods.add(further(draft.periods, ownZone()))}>
                {words.period.add}
              </Button>
            </div>
            <TextField
              label={common.note}
              value={draft.note}
              onChange={(note) => change({ note })}
            />
          </Form>
        </Panel>
        <Reading spec={settled} />
      </div>
      {more?.(settled)}
    </>
  );
}
