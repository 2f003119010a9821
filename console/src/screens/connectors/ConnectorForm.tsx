import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { unchanged, useChange } from "../../api/change";
import { api, ask } from "../../api/client";
import { agents } from "../../api/queries";
import type { Connector } from "../../api/types";
import { useBecause } from "../../app/because";
import { Answers } from "../../parts/field/Answers";
import { Form } from "../../parts/field/Form";
import { SelectField, TextField } from "../../parts/field/inputs";
import { useWords } from "../../words";
import { AtFields } from "../resources/form/AtFields";
import { fieldsOf, pairsOf } from "../resources/form/pairs";

import { placeFor, SPEAKS, told } from "./speaks";

interface Props {
  connector?: Connector;
  onClose: () => void;
}

export function ConnectorForm({ connector, onClose }: Props) {
  const { connectors: words, resources, storages, common } = useWords();
  const because = useBecause();
  const hosts = useQuery(agents);
  const spec = connector?.spec;
  const [name, setName] = useState(connector?.name ?? "");
  const [speaks, setSpeaks] = useState(spec?.connector ?? "postgres");
  const [agent, setAgent] = useState(spec?.agent ?? "");
  const [at, setAt] = useState(() => (spec ? pairsOf(spec.at) : placeFor("postgres")));
  const [password, setPassword] = useState("");
  const choose = (next: string) => {
    setSpeaks(next);
    // What nobody wrote into is of no use for another kind of server.
    if (told(at).length === 0) setAt(placeFor(next));
  };
  const save = useChange(
    ["connector"],
    () => {
      const body = {
        name,
        spec: {
          connector: speaks,
          agent: agent || null,
          at: fieldsOf(told(at)) as never,
          ...(password && { password }),
        },
      };
      if (!connector) return ask(api.POST("/api/v1/connectors", { body }));
      const params = { path: { id: connector.id }, header: unchanged(connector) };
      return ask(api.PATCH("/api/v1/connectors/{id}", { params, body }));
    },
    onClose,
  );
  return (
    <Form
      onSubmit={() => save.mutate(undefined)}
      error={save.error}
      actions={
        <Answers
          action={connector ? common.save : common.add}
          isBusy={save.isPending}
          because={because ?? (name ? undefined : resources.nameFirst)}
          onCancel={onClose}
        />
      }
    >
      <TextField label={common.name} help={storages.nameHelp} value={name} onChange={setName} />
      <SelectField label={words.speaks} value={speaks} onChange={choose}>
        {SPEAKS.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </SelectField>
      <SelectField label={words.from} value={agent} onChange={setAgent}>
        <option value="">{resources.ownHost}</option>
        {hosts.data?.items.map(({ id, name: host }) => (
          <option key={id} value={id}>
            {host}
          </option>
        ))}
      </SelectField>
      <AtFields label={words.at} help={words.atHelp} pairs={at} onChange={setAt} />
      <TextField
        label={words.password}
        help={spec?.has_password ? storages.keyFields.stays : undefined}
        type="password"
        autoComplete="new-password"
        value={password}
        onChange={setPassword}
      />
    </Form>
  );
}
