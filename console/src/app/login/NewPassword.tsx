import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask } from "../../api/client";
import { whoami } from "../../api/queries";
import type { Who } from "../../api/types";
import { Button } from "../../parts/button/Button";
import { Form } from "../../parts/field/Form";
import { TextField } from "../../parts/field/inputs";
import { useTitle } from "../../parts/page/title";
import { useWords } from "../../words";
import { Door } from "./Door";

/** A password that another one chose is changed before anything else. */
export function NewPassword({ who }: { who: Who }) {
  const { login: words } = useWords();
  useTitle(words.newTitle);
  const client = useQueryClient();
  const [old, setOld] = useState("");
  const [wanted, setWanted] = useState("");
  const [again, setAgain] = useState("");
  const isSame = wanted === again;
  const change = useMutation({
    mutationFn: () =>
      ask(
        api.PUT("/api/v1/users/{id}/password", {
          params: { path: { id: who.id } },
          body: { old, new: wanted },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: whoami.queryKey }),
  });
  return (
    <Door title={words.newTitle}>
      <p>{words.newWords}</p>
      <Form
        onSubmit={() => isSame && change.mutate()}
        error={change.error}
        actions={
          <Button type="submit" kind="primary" isBusy={change.isPending}>
            {words.newSubmit}
          </Button>
        }
      >
        <TextField
          label={words.oldPassword}
          type="password"
          value={old}
          onChange={setOld}
          autoComplete="current-password"
          autoFocus
        />
        <TextField
          label={words.newPassword}
          type="password"
          value={wanted}
          onChange={setWanted}
          autoComplete="new-password"
        />
        <TextField
          label={words.again}
          type="password"
          value={again}
          onChange={setAgain}
          autoComplete="new-password"
          wrong={again && !isSame ? words.differs : undefined}
        />
      </Form>
    </Door>
  );
}
