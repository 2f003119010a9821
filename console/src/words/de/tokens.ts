import type { Words } from "../index";

export const tokens: Words["tokens"] = {
  answer: "Geheimnisse von Programmen. Ein Token darf nicht mehr als der, der es erzeugt hat.",
  add: "Token erzeugen",
  make: "Token erzeugen",
  none: "Noch kein Token",
  noneWords: "Ein Programm, das mit dem Manager spricht, braucht eines.",
  actsFor: "Handelt für",
  used: "Zuletzt benutzt",
  expires: "Gültig bis",
  expiresHelp: "Das Ende dieses Tages; leer: bis es gelöscht wird",
  untilDeleted: "bis es gelöscht wird",
  once: "Dieses Geheimnis wird einmal gezeigt. Kopieren Sie es jetzt.",
  onceWords: "Es wird nur als Prüfsumme aufbewahrt und lässt sich später nicht nachsehen.",
  secret: "Geheimnis",
  deleteTitle: (name) => `Das Token ${name} löschen?`,
  deleteWords: "Programme, die es verwenden, werden ab jetzt abgewiesen.",
};
