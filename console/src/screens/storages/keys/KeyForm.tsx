import { useState } from "react";
import { useChange } from "../../../api/change";
import { api, ask } from "../../../api/client";
import type { Storage } from "../../../api/types";
import { useBecause } from "../../../app/because";
import { Answers } from "../../../parts/field/Answers";
import { Form } from "../../../parts/field/Form";
import { Radios, TextField } from "../../../parts/field/inputs";
import { useWords } from "../../../words";
import { differs, isWhole, newKey, type Way } from "./draft";
import { PaperKey } from "./PaperKey";

/** A further way to open the repository: by a passphrase, by an age identity, or by words on paper. */
export function KeyForm({ storage, onClose }: { storage: Storage; onClose: () => void }) {
  const { storages, common } = useWords();
  const words = storages.keys;
  const because = useBecause();
  const [way, setWay] = useState<Way>("passphrase");
  const [label, setLabel] = useState("");
  const [secret, setSecret] = useState("");
  const [again, setAgain] = useState("");
  const given = { way, label, secret, again };
  const add = useChange(
    ["storage"],
    () =>
      ask(
        api.POST("/api/v1/storages/{id}/keys", {
          params: { path: { id: storage.id } },
          body: newKey(given),
        }),
      ),
    (slot) => (slot.recovery ? undefined : onClose()),
  );
  if (add.data?.recovery) return <PaperKey storage={storage} slot={add.data} onClose={onClose} />;
  return (
    <Form
      onSubmit={() => isWhole(given) && add.mutate(undefined)}
      error={add.error}
      actions={
        <Answers
          action={common.add}
          isBusy={add.isPending}
          because={because ?? (isWhole(given) ? undefined : words.tellFirst)}
          onCancel={onClose}
        />
      }
    >
      <p>{words.addWords}</p>
      <Radios
        label={common.kind}
        name="way"
        value={way}
        of={[
          { value: "passphrase", label: words.passphrase, help: words.passphraseWords },
          { value: "recovery", label: words.paper, help: words.paperHelp },
          { value: "recipient", label: words.recipient, help: words.recipientWords },
        ]}
        onChange={(next) => {
          setWay(next);
          setSecret("");
        }}
      />
      <TextField label={common.name} help={words.labelHelp} value={label} onChange={setLabel} />
      {way === "passphrase" && (
        <>
          <TextField
            label={words.passphrase}
            type="password"
            autoComplete="new-password"
            value={secret}
            onChange={setSecret}
          />
          <TextField
            label={words.again}
            type="password"
            autoComplete="new-password"
            wrong={differs(given) ? words.differs : undefined}
            value={again}
            onChange={setAgain}
          />
        </>
      )}
      {way === "recipient" && (
        <TextField
          label={words.recipient}
          placeholder="age1…"
          value={secret}
          onChange={setSecret}
        />
      )}
    </Form>
  );
}
