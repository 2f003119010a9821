import type { Words } from "../index";
import { plural } from "../plural";

export const find: Words["find"] = {
  title: "Eine Datei suchen",
  called: (name) => `Dateien namens ${name} suchen`,
  answer: "In welchen Snapshots ist sie? Der neueste mit jeder steht zuerst.",
  name: "Name",
  nameHelp: "Ein Teil des Pfads, oder ein Muster: *.conf",
  below: "Nur unter",
  belowHelp: "Ein Verzeichnis der Snapshots",
  go: "Suchen",
  inSnapshot: "Neuester Snapshot damit",
  versions: "Fassungen",
  do: "Tun",
  begin: "Geben Sie einen Teil des Namens ein.",
  beginWords: "Namen und Pfade werden durchsucht, nicht was in Dateien steht.",
  none: "Kein durchsuchter Snapshot enthält das",
  noneWords: "Nur Namen werden gesucht. Groß- und Kleinbuchstaben sind verschieden.",
  looked: (count, until) => `${count} durchsucht, zurück bis ${until}`,
  snapshots: (count, told) => `${told} ${plural(count, "Snapshot", "Snapshots")}`,
  further: "Ältere durchsuchen",
  allLooked: "Alle wurden durchsucht.",
  unread: "Nicht alle konnten durchsucht werden",
  more: (count) =>
    `${count} ${plural(count, "Snapshot enthält", "Snapshots enthalten")} mehr, als gezeigt wird: Geben Sie mehr vom Namen an.`,
};
