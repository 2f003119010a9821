import type { Words } from "../index";

export const connectors: Words["connectors"] = {
  answer: "Server, über die Ressourcen erreicht werden, mit ihren Passwörtern.",
  add: "Konnektor hinzufügen",
  none: "Noch kein Konnektor",
  noneWords:
    "Nötig, wo eine Datenbank oder ein libvirt-Host nach einem Passwort fragt. Ressourcen nennen ihn dann.",
  speaks: "Spricht",
  place: "Wo",
  from: "Erreicht von",
  at: "Wo der Server ist",
  password: "Passwort",
  check: "Ausprobieren",
  reaches: (level) => `Erreicht die Konsistenz: ${level}`,
  removeTitle: (name) => `Den Konnektor ${name} entfernen?`,
  removeWords:
    "Sein Passwort wird vergessen. Ressourcen, die über ihn erreicht werden, werden nicht mehr aufgenommen.",
  atHelp: "Nur was vom Üblichen abweicht: Ein leeres Feld wird nicht gesendet.",
};
