import type { Words } from "../index";

export const tenants: Words["tenants"] = {
  answer:
    "Getrennte Räume, jeder mit eigenen Ressourcen, Benutzern, Snapshots und eigenem Schlüssel.",
  add: "Mandanten hinzufügen",
  none: "Noch kein Mandant",
  description: "Beschreibung",
  entitled: "Snapshots von ihm werden aufgenommen",
  entitledHelp:
    "Wozu Anbieter oder Betreiber ihn berechtigen. Ausgeschaltet nimmt niemand welche auf.",
  maySnapshot: "Seine eigenen Benutzer dürfen Snapshots aufnehmen",
  mayRestore: "Seine eigenen Benutzer dürfen wiederherstellen",
  isTaken: "Wird geschützt",
  takes: "Nimmt selbst auf",
  restores: "Stellt selbst wieder her",
  quota: "Platz für seine Snapshots in GiB",
  quotaHelp: "Leer: keine Grenze",
  quotaShort: "Platz",
  noLimit: "keine Grenze",
  atOnce: "Läufe zugleich",
  lockDays: "Tage, die seine Benutzer einen Snapshot höchstens sperren",
  lockDaysHelp: "Was gesperrt ist, belegt Platz, was auch geschieht.",
  root: "Die Wurzel: Ihre Benutzer sehen alle Mandanten.",
  what: "Was er darf",
  deleteTitle: (name) => `Den Mandanten ${name} löschen?`,
  deleteWords:
    "Seine Benutzer, Ressourcen und Zeitpläne gehen mit ihm. Volle Snapshots, die ihn enthalten, bleiben.",
};
