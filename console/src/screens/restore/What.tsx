import { useQuery } from "@tanstack/react-query";
import { tenants } from "../../api/queries";
import type { Snapshot } from "../../api/types";
import { Button } from "../../parts/button/Button";
import { LinkButton } from "../../parts/button/LinkButton";
import { Radios, SelectField, TextField, type Choice as Way } from "../../parts/field/inputs";
import { Notice } from "../../parts/notice/Notice";
import { Panel } from "../../parts/panel/Panel";
import { useWords } from "../../words";
import type { Asked, What } from "./asked";
import { type Choice, tenantsOf } from "./choices";
import style from "./New.module.css";
import { Parts } from "./Parts";

interface Props {
  snapshot: Snapshot;
  choices: Choice[];
  own: Choice[];
  asked: Asked;
  what: What;
  change: (over: Partial<Asked>) => void;
}

export function WhatPanel({ snapshot, choices, own, asked, what, change }: Props) {
  const { restore } = useWords();
  const words = restore.new;
  const isPartial = snapshot.scope === "partial";
  const ways: Way<What>[] = [
    {
      value: "all",
      label: words.all,
      help: isPartial ? words.neverAll : words.allWords[snapshot.scope],
      disabled: isPartial,
    },
    { value: "part", label: words.part, help: words.partWords },
    { value: "files", label: words.files, help: words.filesWords },
  ];
  return (
    <Panel title={words.what}>
      <div className={style.panel}>
        <Radios
          label={words.howMuch}
          name="what"
          value={what}
          of={ways}
          onChange={(next) => change({ what: next })}
        />
        {what === "part" && (
          <>
            <Whose choices={choices} asked={asked} change={change} />
            <Parts
              choices={own}
              chosen={asked.resources ?? []}
              onChange={(resources) => change({ resources, what: "part" })}
            />
          </>
        )}
        {what === "files" &&
          (asked.paths ? (
            <Several paths={asked.paths} change={change} />
          ) : (
            <Path id={snapshot.id} asked={asked} change={change} />
          ))}
        {!snapshot.is_complete && <Notice is="attention" title={words.incomplete} />}
      </div>
    </Panel>
  );
}

function Several({ paths, change }: { paths: string[] } & Pick<Props, "change">) {
  const { restore, common } = useWords();
  const words = restore.new;
  return (
    <div className={style.path}>
      <p>{words.several(paths.length)}</p>
      <ul className={style.several}>
        {paths.map((path) => (
          <li key={path}>
            <code>{path}</code>{" "}
            <Button
              kind="quiet"
              onClick={() => {
                const left = paths.filter((each) => each !== path);
                change({ paths: left.length > 0 ? left : undefined, what: "files" });
              }}
            >
              {common.remove}
              <span className="unseen">: {path}</span>
            </Button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Path({ id, asked, change }: Pick<Props, "asked" | "change"> & { id: string }) {
  const { restore: words } = useWords();
  return (
    <div className={style.path}>
      <TextField
        label={words.new.path}
        help={words.new.pathHelp}
        value={asked.path ?? ""}
        onChange={(path) => change({ path: path || undefined, what: "files" })}
      />
      <LinkButton to="/browse/$id" params={{ id }} search={{ path: asked.path }}>
        {words.new.look}
      </LinkButton>
    </div>
  );
}

/** A full snapshot holds what several tenants have; one restore is of one of them. */
function Whose({ choices, asked, change }: Pick<Props, "choices" | "asked" | "change">) {
  const { common } = useWords();
  const names = tenantsOf(choices);
  const known = useQuery({ ...tenants, enabled: names.length > 1 });
  if (names.length < 2) return null;
  const own = (known.data?.items ?? []).filter(({ name }) => names.includes(name));
  return (
    <SelectField
      label={common.tenant}
      value={asked.tenant ?? own.find(({ name }) => name === names[0])?.id ?? ""}
      onChange={(tenant) => change({ tenant, resources: undefined, beside: undefined })}
    >
      {own.map(({ id, name }) => (
        <option key={id} value={id}>
          {name}
        </option>
      ))}
    </SelectField>
  );
}
