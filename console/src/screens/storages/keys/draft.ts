import type { NewKeySlot } from "../../../api/types";

export type Way = "passphrase" | "recovery" | "recipient";

/** What was said about a new key. */
export interface Given {
  way: Way;
  label: string;
  secret: string;
  again: string;
}

export const differs = ({ way, secret, again }: Given): boolean =>
  way === "passphrase" && again !== "" && again !== secret;

export function isWhole({ way, secret, again }: Given): boolean {
  if (way === "recovery") return true;
  return secret.trim() !== "" && (way === "recipient" || again === secret);
}

/** One way alone, whatever else was typed. */
export const newKey = ({ way, label, secret }: Given): NewKeySlot => ({
  label: label.trim(),
  passphrase: way === "passphrase" ? secret : null,
  recipient: way === "recipient" ? secret.trim() : null,
  recovery: way === "recovery",
});
