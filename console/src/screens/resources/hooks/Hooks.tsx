import { useState } from "react";
import { unchanged, useChange } from "../../../api/change";
import { api, ask } from "../../../api/client";
import type { Hook, Resource } from "../../../api/types";
import { useBecause } from "../../../app/because";
import { useWho } from "../../../app/session";
import { Button } from "../../../parts/button/Button";
import { Answers } from "../../../parts/field/Answers";
import { Form } from "../../../parts/field/Form";
import { useSeveral } from "../../../parts/field/several";
import { Panel } from "../../../parts/panel/Panel";
import { useWords } from "../../../words";
import style from "../Resources.module.css";
import { argumentsOf, lineOf } from "./command";
import { HookFields } from "./HookFields";
import { Trial } from "./Trial";

export interface HookDraft extends Omit<Hook, "command"> {
  line: string;
}

const FRESH: HookDraft = { phase: "pre-quiesce", line: "", on_error: "fail", timeout_seconds: 60 };

/** Commands around a snapshot and a restore. What is saved can be tried. */
export function Hooks({ resource }: { resource: Resource }) {
  const { resources, common } = useWords();
  const words = resources.hooks;
  const who = useWho();
  const because = useBecause();
  const known = (resource.spec.hooks ?? []) as Hook[];
  const initial = known.map(({ command, ...rest }) => ({ ...rest, line: lineOf(command) }));
  const [hooks, setHooks] = useState<HookDraft[]>(initial);
  const several = useSeveral(hooks, setHooks);
  const isSaved = JSON.stringify(hooks) === JSON.stringify(initial);
  const save = useChange(["resource"], () =>
    ask(
      api.PATCH("/api/v1/resources/{id}", {
        params: { path: { id: resource.id }, header: unchanged(resource) },
        body: {
          spec: {
            ...resource.spec,
            hooks: hooks.map(({ line, ...rest }) => ({ ...rest, command: argumentsOf(line) })),
          },
        },
      }),
    ),
  );
  return (
    <Panel title={words.title}>
      <Form
        onSubmit={() => save.mutate(undefined)}
        error={save.error}
        actions={
          who.may("change") && (
            <Answers
              action={common.save}
              isBusy={save.isPending}
              because={because ?? (isSaved ? words.nothingToSave : undefined)}
            />
          )
        }
      >
        <p className={style.quiet}>{words.help}</p>
        {hooks.length === 0 && <p>{words.none}</p>}
        {several.each.map(({ key, one, change, remove }, at) => (
          <fieldset key={key} className={style.group}>
            <legend>{words.hook(at + 1)}</legend>
            <HookFields hook={one} isMachine={resource.spec.kind === "vm"} change={change} />
            <div className={style.buttons}>
              {who.may("system") && (
                <Trial id={resource.id} hook={at} because={isSaved ? because : words.saveFirst} />
              )}
              <Button onClick={remove}>
                {common.remove}
                <span className="unseen">: {words.hook(at + 1)}</span>
              </Button>
            </div>
          </fieldset>
        ))}
        <div>
          <Button onClick={() => several.add(FRESH)}>{words.add}</Button>
        </div>
      </Form>
    </Panel>
  );
}
