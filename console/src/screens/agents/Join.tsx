import { useState } from "react";
import { useChange } from "../../api/change";
import { api, ask } from "../../api/client";
import { useBecause } from "../../app/because";
import { Button } from "../../parts/button/Button";
import { CopyLine } from "../../parts/copy/CopyLine";
import { Answers } from "../../parts/field/Answers";
import { Form } from "../../parts/field/Form";
import { TextField } from "../../parts/field/inputs";
import { Notice } from "../../parts/notice/Notice";
import { When } from "../../parts/when/When";
import { useWords } from "../../words";
import style from "./Agents.module.css";
import { addressesOf, JOIN, START } from "./join";

/** A token with which one agent joins: shown once, and never again. */
export function Join({ onClose }: { onClose: () => void }) {
  const { agents: words, common } = useWords();
  const because = useBecause();
  const [addresses, setAddresses] = useState("");
  const make = useChange([], () =>
    ask(api.POST("/api/v1/agents/tokens", { body: { addresses: addressesOf(addresses) } })),
  );
  if (make.data) {
    return (
      <div className={style.stack}>
        <Notice is="attention" isNews title={words.once}>
          {words.until} <When at={make.data.expires} />.
        </Notice>
        <p>{words.first}</p>
        <CopyLine text={JOIN} label={words.command} />
        <p>{words.second}</p>
        <CopyLine text={make.data.token} label={words.token} />
        <p>{words.third}</p>
        <CopyLine text={START} label={words.command} />
        <div>
          <Button onClick={onClose}>{common.close}</Button>
        </div>
      </div>
    );
  }
  return (
    <Form
      onSubmit={() => make.mutate(undefined)}
      error={make.error}
      actions={
        <Answers action={words.make} isBusy={make.isPending} because={because} onCancel={onClose} />
      }
    >
      <p>{words.joinWords}</p>
      <TextField
        label={words.addresses}
        help={words.addressesHelp}
        placeholder="backup.example.com:8443"
        value={addresses}
        onChange={setAddresses}
      />
    </Form>
  );
}
