import { useState } from "react";
import { useChange } from "../../api/change";
import { api, ask } from "../../api/client";
import type { Role } from "../../api/types";
import { useBecause } from "../../app/because";
import { CopyLine } from "../../parts/copy/CopyLine";
import { Answers } from "../../parts/field/Answers";
import { Form } from "../../parts/field/Form";
import { SelectField, TextField } from "../../parts/field/inputs";
import { Notice } from "../../parts/notice/Notice";
import { useWords } from "../../words";
import { ROLES } from "../users/choices";
import { expiryOf } from "./expiry";
import style from "./Tokens.module.css";

/** A token is made, and its secret shown once. */
export function TokenForm({ onClose }: { onClose: () => void }) {
  const { tokens: words, users, storages, common, roles } = useWords();
  const because = useBecause();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [until, setUntil] = useState("");
  const make = useChange(["token"], () =>
    ask(api.POST("/api/v1/tokens", { body: { name, spec: { role, expires: expiryOf(until) } } })),
  );
  if (make.data) {
    return (
      <div className={style.made}>
        <Notice is="attention" isNews title={words.once}>
          {words.onceWords}
        </Notice>
        <CopyLine text={make.data.secret} label={words.secret} />
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
      <TextField label={common.name} help={storages.nameHelp} value={name} onChange={setName} />
      <SelectField
        label={users.role}
        help={users.roleWords[role]}
        value={role}
        onChange={(value) => setRole(value as Role)}
      >
        {ROLES.map((each) => (
          <option key={each} value={each}>
            {roles[each]}
          </option>
        ))}
      </SelectField>
      <TextField
        label={words.expires}
        help={words.expiresHelp}
        type="date"
        value={until}
        onChange={setUntil}
      />
    </Form>
  );
}
