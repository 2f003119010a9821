import type { Words } from "../index";
import { plural } from "../plural";

export const overview: Words["overview"] = {
  allGood: (count) =>
    plural(count, "Die eine Ressource kann", `Alle ${count} Ressourcen können`) +
    " wiederhergestellt werden.",
  someGood: (good, all) => `${good} von ${all} Ressourcen können wiederhergestellt werden.`,
  lookBelow: (count) =>
    `${count} ${plural(count, "Sache braucht", "Sachen brauchen")} Ihre Aufmerksamkeit, siehe unten.`,
  noneYet: "Noch ist nichts geschützt.",
  healths: {
    good: "gut",
    attention: "braucht Aufmerksamkeit",
    failed: "schlägt fehl",
    never: "nie erfasst",
    unprotected: "nicht geschützt",
  },
  resources: "Was wiederhergestellt werden kann",
  lastGood: "Stand",
  verified: "Zuletzt geprüft",
  next: "Nächster",
  consistency: "Konsistenz",
  trend: "Letzte Ergebnisse",
  neverCaptured: "Noch kein Snapshot",
  off: "Ausgeschaltet",
  noNext: "Nichts geplant",
  notVerified: "Noch nicht",
  running: "Läuft gerade",
  nothingRuns: "Nichts läuft.",
  recent: "Letzte Läufe",
  allRuns: "Alle Läufe",
  days: "Die letzten vierzehn Tage",
  day: (day, complete, incomplete, failed) =>
    `${day}: ${complete} vollständig, ${incomplete} unvollständig, ${failed} fehlgeschlagen`,
  dayNothing: (day) => `${day}: nichts aufgenommen`,
  storages: "Platz",
  free: (free) => `${free} frei`,
  used: (used) => `${used} von Snapshots belegt`,
  fullAt: "Voll, wenn es so weitergeht:",
  notFilling: "Er füllt sich nicht.",
  start: {
    title: "Fünf Schritte zu einer bewiesenen Wiederherstellung",
    storage: "Wählen, wo Snapshots liegen",
    storageWords:
      "Der interne Speicher geht sofort und ist mit diesem Host verloren. Fügen Sie für Katastrophen einen anderen hinzu.",
    resource: "Sagen, was geschützt werden soll",
    resourceWords: "Nachsehen, was auf diesem Host oder dem eines Agenten ist, und auswählen.",
    profile: "Sagen, wann",
    profileWords: "Fertige Zeitpläne brauchen einen Klick.",
    snapshot: "Den ersten Snapshot aufnehmen",
    snapshotWords: "Einen vollen: alles, was bekannt ist.",
    restore: "Beweisen: etwas neben dem Original wiederherstellen",
    restoreWords: "Ein Snapshot, den niemand wiederhergestellt hat, ist eine Hoffnung.",
    done: "erledigt",
  },
};
