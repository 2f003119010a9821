import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { resources, tenants } from "../../../api/queries";
import type { Wanted } from "../../../api/wanted";
import { useWho } from "../../../app/session";
import { Button } from "../../../parts/button/Button";
import { SelectField, TextField } from "../../../parts/field/inputs";
import { useWords } from "../../../words";
import { find } from "../screen";
import style from "./Find.module.css";

/** Each look goes through many trees, so it waits for Enter. */
export function WantedForm() {
  const { find: words } = useWords();
  const asked = find.useSearch();
  const navigate = useNavigate({ from: find.fullPath });
  const [wanted, setWanted] = useState(asked);
  const change = (over: Partial<Wanted>) => setWanted((now) => ({ ...now, ...over }));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const { q, path } = wanted;
    navigate({
      search: { ...wanted, q: q?.trim() || undefined, path: path?.trim() || undefined },
    });
  };
  return (
    <search>
      <form onSubmit={submit} className={style.form}>
        <TextField
          label={words.name}
          placeholder={words.nameHelp}
          type="search"
          value={wanted.q ?? ""}
          onChange={(q) => change({ q })}
        />
        <TextField
          label={words.below}
          placeholder={words.belowHelp}
          value={wanted.path ?? ""}
          onChange={(path) => change({ path })}
        />
        <Of wanted={wanted} change={change} />
        <Button type="submit" kind="primary">
          {words.go}
        </Button>
      </form>
    </search>
  );
}

interface Props {
  wanted: Wanted;
  change: (over: Partial<Wanted>) => void;
}

/** Only snapshots that hold a resource; whoever sees all tenants says which. */
function Of({ wanted, change }: Props) {
  const { snapshots, common } = useWords();
  const who = useWho();
  const known = useQuery(resources);
  const all = useQuery({ ...tenants, enabled: who.isSystem });
  const own = (known.data?.items ?? []).filter(
    ({ tenant }) => tenant === (wanted.tenant ?? who.tenant),
  );
  return (
    <>
      {(all.data?.items.length ?? 0) > 1 && (
        <SelectField
          label={common.tenant}
          value={wanted.tenant ?? who.tenant}
          onChange={(tenant) =>
            change({ tenant: tenant === who.tenant ? undefined : tenant, resource: undefined })
          }
        >
          {all.data?.items.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </SelectField>
      )}
      <SelectField
        label={snapshots.resource}
        value={wanted.resource ?? ""}
        onChange={(resource) => change({ resource: resource || undefined })}
      >
        <option value="">{snapshots.anyResource}</option>
        {own.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </SelectField>
    </>
  );
}
