import type { Bundle, Upload } from "../../../api/types";
import { isOver, shareOf } from "../../runs/standing";
import { shareOf as sentOf } from "../upload/send";

/** What a file of a snapshot waits for. */
export type Waits = "file" | "fetch" | "import" | "make" | "save" | "look";

/** A file that comes or goes and is not done with: found again by whoever looks, also in another browser. */
export interface Going {
  id: string;
  name: string;
  waits: Waits;
  /** How far it is, where something goes on. */
  share?: number;
  bytes?: number;
  /** It is deleted then. */
  until?: string;
  /** Of what is downloaded. */
  snapshot?: string;
}

export function goingOf(uploads: Upload[], bundles: Bundle[]): Going[] {
  return [...uploads.map(comes), ...bundles.map(goes)];
}

function comes(upload: Upload): Going {
  const { id, name, from, is_whole, offset, expires } = upload;
  const waits = is_whole ? "import" : from ? "fetch" : "file";
  return {
    id,
    name: name || from || id,
    waits,
    bytes: offset,
    until: expires,
    ...(!is_whole && { share: sentOf(upload) }),
  };
}

function goes({ id, name, run, size_bytes, expires, snapshot }: Bundle): Going {
  const isMade = run.state === "succeeded" && Boolean(size_bytes);
  const waits = isMade ? "save" : isOver(run) ? "look" : "make";
  return {
    id,
    name,
    waits,
    snapshot,
    ...(waits === "make" && { share: shareOf(run) }),
    ...(isMade && { bytes: size_bytes ?? undefined, until: expires ?? undefined }),
  };
}
