import { Dialog } from "@base-ui/react/dialog";
import { useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { type KeyboardEvent, useId, useMemo, useState } from "react";
import { resourcesCalled } from "../../api/objects";
import { useSettled } from "../../parts/field/settled";
import { useWords } from "../../words";
import { screens } from "../screens";
import { useWho } from "../session";
import { longest, match } from "./match";
import style from "./Palette.module.css";

interface Goal {
  key: string;
  words: string;
  kind: string;
  to: string;
}

const SHOWN = 12;
const SETTLED_MS = 120;

export interface FinderProps {
  isOpen: boolean;
  onChange: (isOpen: boolean) => void;
}

/** Everywhere one can go, by typing a part of its name. */
export function Finder({ isOpen, onChange }: FinderProps) {
  const { shell } = useWords();
  return (
    <Dialog.Root open={isOpen} onOpenChange={onChange}>
      <Dialog.Portal>
        <Dialog.Backdrop className={style.scrim} />
        <Dialog.Popup className={style.palette} aria-label={shell.find}>
          <Typed onDone={() => onChange(false)} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Typed({ onDone }: { onDone: () => void }) {
  const { shell } = useWords();
  const router = useRouter();
  const id = useId();
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const goals = useGoals(typed);
  const found = useMemo(() => best(goals, typed), [goals, typed]);
  const go = (goal: Goal | undefined) => {
    if (!goal) return;
    onDone();
    router.history.push(goal.to);
  };
  const pressed = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setAt((at + step + found.length) % Math.max(found.length, 1));
    } else if (event.key === "Enter") {
      event.preventDefault();
      go(found[at]);
    }
  };
  return (
    <>
      <input
        className={style.input}
        role="combobox"
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={found[at] && `${id}-${at}`}
        aria-label={shell.find}
        placeholder={shell.findWhat}
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          setAt(0);
        }}
        onKeyDown={pressed}
      />
      <div id={`${id}-list`} role="listbox" aria-label={shell.find} className={style.list}>
        {found.map((goal, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: keys are pressed in the field above
          <div
            key={goal.key}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            className={style.option}
            onClick={() => go(goal)}
            onPointerMove={() => setAt(index)}
          >
            <span>{goal.words}</span>
            <span className={style.kind}>{goal.kind}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className={style.none}>{shell.findNone}</p>}
    </>
  );
}

function useGoals(typed: string): Goal[] {
  const { screens: names, shell, kinds } = useWords();
  const who = useWho();
  const known = useQuery(resourcesCalled(longest(useSettled(typed, SETTLED_MS)), SHOWN));
  return useMemo(() => {
    const places = screens
      .filter((screen) => who.may(screen.needs))
      .map(({ name, home }) => ({ key: name, words: names[name], kind: shell.screen, to: home }));
    const things = (known.data?.items ?? []).map((resource) => ({
      key: resource.id,
      words: resource.name,
      kind: kinds[resource.spec.kind],
      to: `/snapshots?resource=${encodeURIComponent(resource.id)}`,
    }));
    return [...places, ...things];
  }, [who, known.data, names, shell, kinds]);
}

function best(goals: Goal[], typed: string): Goal[] {
  return goals
    .map((goal) => ({ goal, score: match(typed, `${goal.words} ${goal.kind}`) }))
    .filter(({ score }) => score > 0)
    .sort((one, other) => other.score - one.score)
    .slice(0, SHOWN)
    .map(({ goal }) => goal);
}
