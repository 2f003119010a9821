import { useState } from "react";
import { unchanged } from "../../api/change";
import { api, ask } from "../../api/client";
import type { User } from "../../api/types";
import { useBecause } from "../../app/because";
import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { Modal } from "../../parts/dialog/Modal";
import { Remove } from "../../parts/dialog/Remove";
import { useWords } from "../../words";
import { PasswordForm } from "./PasswordForm";
import { UserForm } from "./UserForm";
import style from "./Users.module.css";

export function Actions({ user }: { user: User }) {
  const { users: words, common } = useWords();
  const who = useWho();
  const because = useBecause();
  const [open, setOpen] = useState<"change" | "password">();
  const close = () => setOpen(undefined);
  const isOneself = user.id === who.id;
  return (
    <div className={style.buttons}>
      <Button
        because={because}
        aria-label={`${common.edit}: ${user.name}`}
        onClick={() => setOpen("change")}
      >
        {common.edit}
      </Button>
      <Button
        because={because}
        aria-label={`${words.setPassword}: ${user.name}`}
        onClick={() => setOpen("password")}
      >
        {words.setPassword}
      </Button>
      {!isOneself && (
        <Remove
          title={words.deleteTitle(user.name)}
          action={common.delete}
          of={user.name}
          name={user.name}
          kind="quiet"
          because={because}
          kinds={["user", "token"]}
          remove={() =>
            ask(
              api.DELETE("/api/v1/users/{id}", {
                params: { path: { id: user.id }, header: unchanged(user) },
              }),
            )
          }
        >
          <p>{words.deleteWords}</p>
        </Remove>
      )}
      <Modal title={user.name} isOpen={open === "change"} onClose={close}>
        <UserForm user={user} onClose={close} />
      </Modal>
      <Modal title={words.setPassword} isOpen={open === "password"} onClose={close}>
        <PasswordForm id={user.id} isOwn={isOneself} onDone={close} />
      </Modal>
    </div>
  );
}
