import type { Words } from "../index";

export const settings: Words["settings"] = {
  answer: (name, role, tenant) => `${name}, ${role} von ${tenant}`,
  look: "Sprache und Aussehen",
  password: "Passwort",
  passwordChanged: "Das Passwort wurde geändert.",
  sessions: "Anmeldungen",
  user: "Benutzer",
  thisOne: "diese",
  address: "Von",
  begun: "Begonnen",
  lastUsed: "Zuletzt benutzt",
  until: "Gültig bis",
  end: "Beenden",
  endTitle: "Diese Anmeldung beenden?",
  endWords: "Wer sie benutzt, muss sich neu anmelden.",
};
