import type { Words } from "../index";
import { plural } from "../plural";

export const overview: Words["overview"] = {
  allGood: (count) =>
    plural(count, "Die eine Ressource kann", `Alle ${count} Ressourcen können`) +
    " wiederhergestellt werden.",
  someGood: (good, all) => `${good} von ${all} Ressourcen können wiederhergestellt werden.`,
  lookBelow: (count) =>
    `${count} ${plural(count, "Sache braucht", "Sachen brauchen")} Ihre Aufmerksamkeit, siehe unten.`,
  notHere:
    "Was wiederhergestellt werden kann, ist hier nicht bekannt: Ein anderer Manager führt, und was folgt, ist von früher.",
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
  asOf: "Stand",
  notKnownSince: "Wie voll er ist, ist nicht bekannt seit",
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
  toSchedules: "Zu den Zeitplänen",
  warnings: {
    replaced: {
      what: "Ein anderer Manager führt diese Installation.",
      isNamed: true,
      cure: "Halten Sie diesen an, und verwenden Sie den anderen.",
    },
    "no-full": {
      what: "Es gibt keinen vollen Snapshot: Geht dieser Host verloren, ist alles verloren.",
      isNamed: false,
      cure: "Nehmen Sie einen auf, in einen Speicher außerhalb dieses Hosts.",
    },
    "no-full-elsewhere": {
      what: "Jeder volle Snapshot liegt auf diesem Host und geht mit ihm verloren.",
      isNamed: false,
      cure: "Fügen Sie anderswo einen Speicher hinzu, und nehmen Sie dorthin einen vollen Snapshot auf.",
    },
    storage: {
      what: "Ein Speicher lässt sich nicht benutzen.",
      isNamed: true,
      cure: "Seine Prüfungen sagen, warum, und was hilft.",
    },
    "never-captured": {
      what: "Von manchen Ressourcen gibt es keinen Snapshot.",
      isNamed: true,
      cure: "Nehmen Sie einen auf. Scheitert er, sagt seine Seite, warum.",
    },
    "not-protected": {
      what: "Manche Ressourcen sind nicht geschützt.",
      isNamed: true,
      cure: "Schalten Sie sie ein, oder lassen Sie sie mit Absicht aus.",
    },
    "no-schedule": {
      what: "Kein Zeitplan ist eingeschaltet: Nichts wird von selbst aufgenommen.",
      isNamed: false,
      cure: "Nehmen Sie einen fertigen, oder schreiben Sie einen eigenen.",
    },
    "storage-warns": {
      what: "Ein Speicher braucht Aufmerksamkeit.",
      isNamed: true,
      cure: "Seine Prüfungen sagen, warum, und was hilft.",
    },
  },
};
