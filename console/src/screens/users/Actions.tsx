import { unchanged } from "../../api/change";
import { api, ask } from "../../api/client";
import type { User } from "../../api/types";
import { useBecause } from "../../app/because";
import { useDialog } from "../../app/dialog";
import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { Remove } from "../../parts/dialog/Remove";
import { useWords } from "../../words";
import style from "./Users.module.css";

export function Actions({ user }: { user: User }) {
  const { users: words, common } = useWords();
  const who = useWho();
  const because = useBecause();
  const edit = useDialog("edit", user.id);
  const password = useDialog("password", user.id);
  const isOneself = user.id === who.id;
  return (
    <div className={style.buttons}>
      <Button
        because={because}
        aria-label={`${common.edit}: ${user.name}`}
        onClick={() => edit.open()}
      >
        {common.edit}
      </Button>
      <Button
        because={because}
        aria-label={`${words.setPassword}: ${user.name}`}
        onClick={() => password.open()}
      >
        {words.setPassword}
      </Button>
      {!isOneself && (
        <Remove
          id={user.id}
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
    </div>
  );
}
