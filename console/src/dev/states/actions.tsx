import { useState } from "react";
import { Problem } from "../../api/problem";
import { Button, type ButtonKind } from "../../parts/button/Button";
import { FileLink } from "../../parts/button/FileLink";
import { CopyLine } from "../../parts/copy/CopyLine";
import { Confirm } from "../../parts/dialog/Confirm";
import { Modal } from "../../parts/dialog/Modal";
import type { Part } from "../states";

const KINDS: ButtonKind[] = ["primary", "plain", "quiet", "danger"];

function Asking({ name }: { name?: string }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button onClick={() => setOpen(true)}>{name ? "Asks for a name" : "Asks"}</Button>
      <Confirm
        title="Delete it?"
        action="Delete"
        {...(name && { name })}
        isOpen={isOpen}
        isBusy={false}
        error={name ? new Problem("locked", 423, "a hold protects it", "release the hold") : null}
        onConfirm={() => setOpen(false)}
        onClose={() => setOpen(false)}
      >
        <p>It cannot be brought back.</p>
      </Confirm>
    </>
  );
}

function Telling({ isWide = false }: { isWide?: boolean }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button onClick={() => setOpen(true)}>{isWide ? "Opens wide" : "Opens"}</Button>
      <Modal title="One question" isWide={isWide} isOpen={isOpen} onClose={() => setOpen(false)}>
        <p>On top of the screen.</p>
      </Modal>
    </>
  );
}

/** What is pressed, and what asks before it is done. */
export const actions: Part[] = [
  {
    folder: "button",
    states: [
      ...KINDS.map((kind): [string, React.ReactNode] => [kind, <Button kind={kind}>Save</Button>]),
      ...KINDS.map((kind): [string, React.ReactNode] => [
        `${kind}, not now`,
        <Button kind={kind} because="The connection to the manager is lost">
          Save
        </Button>,
      ]),
      [
        "busy",
        <Button kind="primary" isBusy>
          Save
        </Button>,
      ],
      [
        "file",
        <FileLink href="/icon.svg" name="icon.svg">
          Download
        </FileLink>,
      ],
    ],
  },
  {
    folder: "copy",
    states: [
      ["short", <CopyLine label="Command" text="tintype discover" />],
      [
        "long",
        <CopyLine
          label="Command"
          text="tintype recover --from 's3://bucket/a/very/long/prefix?endpoint=https://s3.example.com' --snapshot 761c6bb31085c177be3d6fb36081e072 --in-place"
        />,
      ],
    ],
  },
  {
    folder: "dialog",
    states: [
      ["modal", <Telling />],
      ["wide", <Telling isWide />],
      ["confirm", <Asking />],
      ["confirm by name, refused", <Asking name="shop" />],
    ],
  },
];
