import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask } from "../../api/client";
import type { ChangedSnapshot, Snapshot } from "../../api/types";
import { useDialog } from "../../app/dialog";
import { useIsLost } from "../../app/live";
import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { Confirm } from "../../parts/dialog/Confirm";
import { Modal } from "../../parts/dialog/Modal";
import { Form } from "../../parts/field/Form";
import { TextField } from "../../parts/field/inputs";
import { useWords } from "../../words";

/** What may change about a snapshot: never what it holds. */
export function Changes({ snapshot }: { snapshot: Snapshot }) {
  const { snapshots: words, common } = useWords();
  const who = useWho();
  const because = useIsLost() ? common.offline : undefined;
  const change = useDialog("change");
  const remove = useDialog("remove", snapshot.id);
  if (!who.may("change")) return null;
  return (
    <>
      <Button because={because} onClick={() => change.open()}>
        {words.actions.more}
      </Button>
      <Button kind="danger" because={because} onClick={() => remove.open()}>
        {words.actions.delete}
      </Button>
      <Modal title={words.actions.more} isOpen={change.isOpen} onClose={change.close}>
        <ChangeForm snapshot={snapshot} onClose={change.close} />
      </Modal>
      <Delete snapshot={snapshot} isOpen={remove.isOpen} onClose={remove.close} />
    </>
  );
}

function ChangeForm({ snapshot, onClose }: { snapshot: Snapshot; onClose: () => void }) {
  const { snapshots, common } = useWords();
  const words = snapshots.actions;
  const client = useQueryClient();
  const [note, setNote] = useState(snapshot.note ?? "");
  const [keep, setKeep] = useState("");
  const [hold, setHold] = useState("");
  const [lock, setLock] = useState("");
  const change = useMutation({
    mutationFn: (body: ChangedSnapshot) =>
      ask(api.PATCH("/api/v1/snapshots/{id}", { params: { path: { id: snapshot.id } }, body })),
    onSuccess: () => {
      client.invalidateQueries({ queryKey: ["snapshot"] });
      onClose();
    },
  });
  const save = () =>
    change.mutate({
      ...(note !== (snapshot.note ?? "") && { note }),
      ...(keep && { keep }),
      ...(hold && { hold }),
      ...(lock && { lock_for: lock }),
    });
  const isImmutable =
    snapshot.unlock_delay_days !== null && snapshot.unlock_delay_days !== undefined;
  return (
    <Form
      onSubmit={save}
      error={change.error}
      actions={
        <>
          <Button onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" kind="primary" isBusy={change.isPending}>
            {common.save}
          </Button>
        </>
      }
    >
      <TextField label={words.note} value={note} onChange={setNote} />
      <TextField label={words.keep} help={words.keepHelp} value={keep} onChange={setKeep} />
      <TextField label={words.hold} help={words.holdHelp} value={hold} onChange={setHold} />
      {(snapshot.holds ?? []).map((reason) => (
        <p key={reason}>
          <Button onClick={() => change.mutate({ release: reason })}>
            {words.release}: {reason}
          </Button>
        </p>
      ))}
      {isImmutable ? (
        <div>
          <Button onClick={() => change.mutate({ unlock: !snapshot.is_unlocking })}>
            {snapshot.is_unlocking ? words.keepLocked : words.unlock}
          </Button>
          <p>{words.unlockWords(snapshot.unlock_delay_days ?? 0)}</p>
        </div>
      ) : (
        <TextField label={words.lock} help={words.lockHelp} value={lock} onChange={setLock} />
      )}
    </Form>
  );
}

function Delete({
  snapshot,
  isOpen,
  onClose,
}: {
  snapshot: Snapshot;
  isOpen: boolean;
  onClose: () => void;
}) {
  const { snapshots } = useWords();
  const words = snapshots.actions;
  const client = useQueryClient();
  const navigate = useNavigate();
  const remove = useMutation({
    mutationFn: () =>
      ask(api.DELETE("/api/v1/snapshots/{id}", { params: { path: { id: snapshot.id } } })),
    onSuccess: () => {
      client.removeQueries({ queryKey: ["snapshot", "one", snapshot.id] });
      client.invalidateQueries({ queryKey: ["snapshot", "list"] });
      navigate({ to: "/snapshots" });
    },
  });
  return (
    <Confirm
      title={words.deleteTitle}
      action={words.delete}
      name={snapshot.name || snapshot.id.slice(0, 8)}
      isOpen={isOpen}
      isBusy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    >
      <p>{words.deleteWords}</p>
      {(snapshot.holds ?? []).length > 0 && (
        <p>
          {words.protectedBy} {(snapshot.holds ?? []).join(", ")}
        </p>
      )}
    </Confirm>
  );
}
