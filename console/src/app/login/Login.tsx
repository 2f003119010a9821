import { useState } from "react";
import { api, ask } from "../../api/client";
import { csrf } from "../../api/csrf";
import { Button } from "../../parts/button/Button";
import { Form } from "../../parts/field/Form";
import { TextField } from "../../parts/field/inputs";
import { useTitle } from "../../parts/page/title";
import { useWords } from "../../words";
import { Door } from "./Door";

/** It is the first thing that anybody loads: it needs nothing of what is inside. */
export function Login({ onDone }: { onDone: () => void }) {
  const { login: words } = useWords();
  useTitle(words.title);
  const [user, setUser] = useState("");
  const [tenant, setTenant] = useState("");
  const [password, setPassword] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const submit = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const body = { user, password, tenant: tenant || null, cookie: true };
      const session = await ask(api.POST("/api/v1/login", { body }));
      csrf.set(session.csrf_token ?? "");
      onDone();
    } catch (refused) {
      setError(refused);
    }
    setBusy(false);
  };
  return (
    <Door title={words.title}>
      <Form
        onSubmit={submit}
        error={error}
        actions={
          <Button type="submit" kind="primary" isBusy={isBusy}>
            {words.submit}
          </Button>
        }
      >
        <TextField
          label={words.user}
          value={user}
          onChange={setUser}
          autoComplete="username"
          autoFocus
          required
        />
        <TextField
          label={words.password}
          type="password"
          value={password}
          onChange={setPassword}
          autoComplete="current-password"
          required
        />
        <TextField
          label={words.tenant}
          help={words.tenantHelp}
          value={tenant}
          onChange={setTenant}
        />
      </Form>
    </Door>
  );
}
