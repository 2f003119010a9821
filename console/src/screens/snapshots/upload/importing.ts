import type { NewImport } from "../../../api/types";

export interface Draft {
  key: "passphrase" | "identity" | "none";
  passphrase: string;
  identity: string;
  keep: string;
  storage: string;
  tenant: string;
  isPrivate: boolean;
}

export const DRAFT: Draft = {
  key: "passphrase",
  passphrase: "",
  identity: "",
  keep: "1m",
  storage: "",
  tenant: "",
  isPrivate: true,
};

export const isWhole = ({ key, passphrase, identity }: Draft): boolean =>
  key === "none" || (key === "passphrase" ? passphrase !== "" : identity.trim() !== "");

/** Only what opens it as chosen is sent: what is secret goes nowhere without need. */
export function newImport(draft: Draft): NewImport {
  return {
    passphrase: draft.key === "passphrase" ? draft.passphrase : null,
    identity: draft.key === "identity" ? draft.identity.trim() : null,
    is_private: draft.isPrivate,
    keep: draft.keep || null,
    storage: draft.storage || null,
    tenant: draft.tenant || null,
  };
}
