import { Fields } from "../../../parts/field/Form";
import { SelectField, TextField } from "../../../parts/field/inputs";
import { useWords } from "../../../words";
import type { HookDraft } from "./Hooks";

const PHASES = ["pre-quiesce", "post-thaw", "post-run", "pre-restore", "post-restore"] as const;

interface Props {
  hook: HookDraft;
  /** Only machines have an inside. */
  isMachine: boolean;
  change: (over: Partial<HookDraft>) => void;
}

export function HookFields({ hook, isMachine, change }: Props) {
  const { resources } = useWords();
  const words = resources.hooks;
  return (
    <>
      <TextField
        label={words.command}
        help={words.commandHelp}
        value={hook.line}
        onChange={(line) => change({ line })}
      />
      <Fields>
        <SelectField
          label={words.phase}
          value={hook.phase}
          onChange={(phase) => change({ phase: phase as HookDraft["phase"] })}
        >
          {PHASES.map((phase) => (
            <option key={phase} value={phase}>
              {words.phases[phase]}
            </option>
          ))}
        </SelectField>
        <SelectField
          label={words.onError}
          value={hook.on_error ?? "fail"}
          onChange={(value) => change({ on_error: value as "fail" | "continue" })}
        >
          <option value="fail">{words.fail}</option>
          <option value="continue">{words.continue}</option>
        </SelectField>
        <TextField
          label={words.timeout}
          type="number"
          min={1}
          value={String(hook.timeout_seconds ?? 60)}
          onChange={(seconds) => change({ timeout_seconds: Number(seconds) || 60 })}
        />
        {isMachine && (
          <SelectField
            label={words.where}
            value={hook.where ?? "host"}
            onChange={(value) => change({ where: value as "host" | "guest" })}
          >
            <option value="host">{words.host}</option>
            <option value="guest">{words.guest}</option>
          </SelectField>
        )}
      </Fields>
    </>
  );
}
