import { useQuery } from "@tanstack/react-query";
import { user as userQuery } from "../../api/objects";
import { useDialog } from "../../app/dialog";
import { useWho } from "../../app/session";
import { Modal } from "../../parts/dialog/Modal";
import { Loading } from "../../parts/loading/Loading";
import { useWords } from "../../words";
import { PasswordForm } from "./PasswordForm";
import { UserForm } from "./UserForm";

/** What is changed about one user: also for those who come by a link, wherever in the list he stands. */
export function Dialogs() {
  const { users: words, common } = useWords();
  const who = useWho();
  const edit = useDialog("edit");
  const password = useDialog("password");
  const query = useQuery({
    ...userQuery(edit.of ?? password.of ?? ""),
    enabled: edit.isOpen || password.isOpen,
  });
  const name = query.data?.name ?? "";
  return (
    <>
      <Modal title={name || common.edit} isOpen={edit.isOpen} onClose={edit.close}>
        <Loading of={query}>{(user) => <UserForm user={user} onClose={edit.close} />}</Loading>
      </Modal>
      <Modal
        title={`${words.setPassword}: ${name}`}
        isOpen={password.isOpen}
        onClose={password.close}
      >
        <Loading of={query}>
          {({ id }) => <PasswordForm id={id} isOwn={id === who.id} onDone={password.close} />}
        </Loading>
      </Modal>
    </>
  );
}
