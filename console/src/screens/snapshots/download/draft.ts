import type { NewBundle } from "../../../api/types";

export type Seal = "passphrase" | "recipients" | "plain";

export interface Draft {
  seal: Seal;
  passphrase: string;
  again: string;
  recipients: string;
  /** He knows what everybody can read then. */
  isSure: boolean;
}

export const DRAFT: Draft = {
  seal: "passphrase",
  passphrase: "",
  again: "",
  recipients: "",
  isSure: false,
};

const SHORTEST = 10;

export type Lack = "short" | "differs" | "recipients" | "sure";

export function lackOf(draft: Draft): Lack | undefined {
  if (draft.seal === "plain") return draft.isSure ? undefined : "sure";
  if (draft.seal === "recipients") {
    const all = recipientsOf(draft);
    const isGood = all.length > 0 && all.every((each) => /^age1[0-9a-z]+$/.test(each));
    return isGood ? undefined : "recipients";
  }
  if (draft.passphrase.length < SHORTEST) return "short";
  return draft.passphrase === draft.again ? undefined : "differs";
}

const recipientsOf = ({ recipients }: Draft): string[] =>
  recipients.split(/[\s,]+/).filter(Boolean);

export function newBundle(draft: Draft, path = ""): NewBundle {
  const { seal, passphrase } = draft;
  return {
    path,
    passphrase: seal === "passphrase" ? passphrase : null,
    recipients: seal === "recipients" ? recipientsOf(draft) : [],
    plain: seal === "plain",
  };
}
