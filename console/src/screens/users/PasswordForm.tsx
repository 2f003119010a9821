import { useState } from "react";
import { useChange } from "../../api/change";
import { api, ask } from "../../api/client";
import { useBecause } from "../../app/because";
import { Answers } from "../../parts/field/Answers";
import { Form } from "../../parts/field/Form";
import { TextField } from "../../parts/field/inputs";
import { useWords } from "../../words";

interface Props {
  id: string;
  /** One's own is only changed by whoever knows the old one. */
  isOwn: boolean;
  onDone: () => void;
}

export function PasswordForm({ id, isOwn, onDone }: Props) {
  const { login: words, users } = useWords();
  const because = useBecause();
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const [again, setAgain] = useState("");
  const isSame = fresh !== "" && fresh === again;
  const save = useChange(
    ["user", "session"],
    () =>
      ask(
        api.PUT("/api/v1/users/{id}/password", {
          params: { path: { id } },
          body: { new: fresh, ...(isOwn && { old }) },
        }),
      ),
    () => {
      setOld("");
      setFresh("");
      setAgain("");
      onDone();
    },
  );
  const field = (label: string, value: string, set: (to: string) => void, wrong?: string) => (
    <TextField
      label={label}
      type="password"
      autoComplete="new-password"
      wrong={wrong}
      value={value}
      onChange={set}
    />
  );
  return (
    <Form
      onSubmit={() => isSame && save.mutate(undefined)}
      error={save.error}
      actions={
        <Answers
          action={words.newSubmit}
          isBusy={save.isPending}
          because={because ?? (isSame ? undefined : users.typeTwice)}
        />
      }
    >
      {isOwn ? field(words.oldPassword, old, setOld) : <p>{users.passwordWords}</p>}
      {field(words.newPassword, fresh, setFresh)}
      {field(words.again, again, setAgain, again && again !== fresh ? words.differs : undefined)}
    </Form>
  );
}
