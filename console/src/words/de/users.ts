import type { Words } from "../index";

export const users: Words["users"] = {
  answer: "Wer sich anmeldet, und was er darf.",
  add: "Benutzer hinzufügen",
  none: "Noch kein Benutzer",
  role: "Rolle",
  roleWords: {
    viewer: "Sieht alles vom Mandanten und ändert nichts.",
    operator: "Nimmt außerdem Snapshots auf.",
    restorer: "Stellt außerdem wieder her und liest Dateien in Snapshots.",
    administrator: "Darf alles.",
    auditor: "Liest außerdem das Prüfprotokoll.",
  },
  on: "darf sich anmelden",
  mustChange: "muss ein Passwort wählen",
  off: "darf sich nicht anmelden",
  mayLogIn: "Darf sich anmelden",
  firstPassword: "Erstes Passwort",
  firstPasswordHelp:
    "Muss bei der ersten Anmeldung geändert werden. Ohne eines kann sich niemand anmelden, bis es gesetzt ist.",
  setPassword: "Passwort setzen",
  passwordWords: "Wer sich damit anmeldet, muss ein anderes wählen.",
  typeTwice: "Geben Sie das neue Passwort zuerst zweimal ein",
  deleteTitle: (name) => `Den Benutzer ${name} löschen?`,
  deleteWords: "Tokens, die für diesen Benutzer handeln, gehen mit.",
};
