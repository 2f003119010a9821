import type { Warning } from "../../api/types";
import { plural } from "../plural";

export const overview = {
  allGood: (count: number) =>
    `${plural(count, "The one resource", `All ${count} resources`)} can be restored.`,
  someGood: (good: number, all: number) => `${good} of ${all} resources can be restored.`,
  lookBelow: (count: number) =>
    `${count} ${plural(count, "thing needs", "things need")} your attention, below.`,
  notHere:
    "What can be restored is not known here: another manager leads, and what follows is of before.",
  noneYet: "Nothing is protected yet.",
  healths: {
    good: "good",
    attention: "needs attention",
    failed: "failing",
    never: "never captured",
    unprotected: "not protected",
  },
  resources: "What can be restored",
  lastGood: "Restorable as of",
  verified: "Last verified",
  next: "Next",
  consistency: "Consistency",
  trend: "Last outcomes",
  neverCaptured: "No snapshot yet",
  off: "Switched off",
  noNext: "Nothing planned",
  notVerified: "Not yet",
  running: "Running now",
  nothingRuns: "Nothing runs.",
  recent: "Last runs",
  allRuns: "All runs",
  days: "The last fourteen days",
  day: (day: string, complete: number, incomplete: number, failed: number) =>
    `${day}: ${complete} complete, ${incomplete} incomplete, ${failed} failed`,
  dayNothing: (day: string) => `${day}: nothing was taken`,
  storages: "Space",
  asOf: "as of",
  notKnownSince: "How full it is, is not known since",
  free: (free: string) => `${free} free`,
  used: (used: string) => `${used} used by snapshots`,
  fullAt: "Full, as it fills now:",
  notFilling: "It does not fill.",
  start: {
    title: "Five steps to a proven restore",
    storage: "Choose where snapshots are kept",
    storageWords:
      "The internal storage works at once, and is lost with this host. Add another one for disasters.",
    resource: "Say what is to be protected",
    resourceWords: "Look what is on this host, or on the host of an agent, and choose.",
    profile: "Say when",
    profileWords: "Ready-made schedules take a click.",
    snapshot: "Take the first snapshot",
    snapshotWords: "A full one: everything that is known.",
    restore: "Prove it: restore something beside the original",
    restoreWords: "A snapshot that nobody restored is a hope.",
    done: "done",
  },
  toSchedules: "To the schedules",
  /** The server's words name what it is about, where `isNamed`. */
  warnings: {
    replaced: {
      what: "Another manager leads this installation",
      isNamed: false,
      cure: "Stop this one, and use the other.",
    },
    "no-full": {
      what: "There is no full snapshot: if this host is lost, all is lost",
      isNamed: false,
      cure: "Take one, into a storage off this host.",
    },
    "no-full-elsewhere": {
      what: "Every full snapshot lies on this host, and is lost together with it",
      isNamed: false,
      cure: "Add a storage elsewhere, and take a full snapshot into it.",
    },
    storage: {
      what: "A storage cannot be used",
      isNamed: true,
      cure: "Its checks say why, and what helps.",
    },
    "never-captured": {
      what: "There is no snapshot of some resources",
      isNamed: true,
      cure: "Take one. If it fails, its page says why.",
    },
    "not-protected": {
      what: "Some resources are not protected",
      isNamed: true,
      cure: "Switch them on, or leave them out on purpose.",
    },
    "no-schedule": {
      what: "No schedule is switched on: nothing is taken by itself",
      isNamed: false,
      cure: "Use a ready-made one, or write your own.",
    },
    "storage-warns": {
      what: "A storage needs attention",
      isNamed: true,
      cure: "Its checks say why, and what helps.",
    },
  } as Record<Warning["code"], { what: string; isNamed: boolean; cure: string }>,
};
