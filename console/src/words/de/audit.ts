import type { Words } from "../index";

export const audit: Words["audit"] = {
  answer:
    "Wer was getan hat, womit, und was daraus wurde. Nichts hier lässt sich unbemerkt ändern.",
  check: "Protokoll prüfen",
  export: "Exportieren",
  older: "Ältere anzeigen",
  none: "Noch wurde nichts getan",
  whole: (entries) => `Das Protokoll ist ganz: Alle ${entries} Einträge passen zueinander.`,
  head: "Anderswo aufbewahrt, zeigt die letzte Prüfsumme später, dass nichts abgeschnitten wurde:",
  broken: (n) => `Eintrag ${n} passt nicht zu dem, was davor steht`,
  brokenWords:
    "Jemand hat das Protokoll verändert, oder seine Datei ist beschädigt. Vergleichen Sie es mit einem Export.",
  n: "Nr.",
  actor: "Wer",
  action: "Was",
  object: "Womit",
  outcome: "Ergebnis",
};
