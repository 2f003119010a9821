import type { NewSnapshot, SnapshotScope } from "../../../api/types";

/** What is being written into the dialog. */
export interface Draft {
  scope: SnapshotScope;
  resources: string[];
  name: string;
  note: string;
  keep: string;
  storage: string;
  quiesce: boolean;
  isPrivate: boolean;
}

export const DRAFT: Draft = {
  scope: "full",
  resources: [],
  name: "",
  note: "",
  keep: "1m",
  storage: "",
  quiesce: true,
  isPrivate: false,
};

export const isWhole = (draft: Draft): boolean =>
  draft.scope !== "partial" || draft.resources.length > 0;

/** What the server is asked for: only what was chosen. */
export function asked(draft: Draft): NewSnapshot {
  return {
    scope: draft.scope,
    quiesce: draft.quiesce,
    is_private: draft.isPrivate,
    keep: draft.keep || null,
    storage: draft.storage || null,
    ...(draft.name && { name: draft.name }),
    ...(draft.note && { note: draft.note }),
    ...(draft.scope === "partial" && { resources: draft.resources }),
  };
}
