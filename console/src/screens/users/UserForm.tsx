import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { unchanged, useChange } from "../../api/change";
import { api, ask } from "../../api/client";
import { tenants } from "../../api/queries";
import type { Role, User } from "../../api/types";
import { useBecause } from "../../app/because";
import { useWho } from "../../app/session";
import { Answers } from "../../parts/field/Answers";
import { Form } from "../../parts/field/Form";
import { Checkbox, Radios, SelectField, TextField } from "../../parts/field/inputs";
import { useWords } from "../../words";
import { ROLES } from "./choices";

export function UserForm({ user, onClose }: { user?: User; onClose: () => void }) {
  const { users: words, storages, common, roles } = useWords();
  const who = useWho();
  const because = useBecause();
  const known = useQuery(tenants);
  const [name, setName] = useState(user?.name ?? "");
  const [role, setRole] = useState<Role>(user?.spec.role ?? "viewer");
  const [isEnabled, setEnabled] = useState(user?.spec.is_enabled ?? true);
  const [tenant, setTenant] = useState(user?.tenant ?? who.tenant);
  const [password, setPassword] = useState("");
  const save = useChange<void, unknown>(
    ["user"],
    () => {
      const spec = { ...user?.spec, role, is_enabled: isEnabled };
      if (!user) {
        const body = { name, spec, tenant, password: password || null };
        return ask(api.POST("/api/v1/users", { body }));
      }
      const params = { path: { id: user.id }, header: unchanged(user) };
      return ask(api.PATCH("/api/v1/users/{id}", { params, body: { name, spec } }));
    },
    onClose,
  );
  return (
    <Form
      onSubmit={() => save.mutate()}
      error={save.error}
      actions={
        <Answers
          action={user ? common.save : common.add}
          isBusy={save.isPending}
          because={because}
          onCancel={onClose}
        />
      }
    >
      <TextField label={common.name} help={storages.nameHelp} value={name} onChange={setName} />
      {!user && who.isSystem && (
        <SelectField label={common.tenant} value={tenant} onChange={setTenant}>
          {known.data?.items.map((each) => (
            <option key={each.id} value={each.id}>
              {each.name}
            </option>
          ))}
        </SelectField>
      )}
      <Radios
        label={words.role}
        name="role"
        value={role}
        of={ROLES.map((value) => ({ value, label: roles[value], help: words.roleWords[value] }))}
        onChange={setRole}
      />
      {user ? (
        <Checkbox label={words.mayLogIn} checked={isEnabled} onChange={setEnabled} />
      ) : (
        <TextField
          label={words.firstPassword}
          help={words.firstPasswordHelp}
          type="password"
          autoComplete="new-password"
          value={password}
          onChange={setPassword}
        />
      )}
    </Form>
  );
}
