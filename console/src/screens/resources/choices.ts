import type { Kind, Resource } from "../../api/types";

/** What one can add; the manager and tenants are there by themselves. */
export const KINDS: readonly Kind[] = [
  "volume",
  "database",
  "vm",
  "network",
  "settings",
  "application",
];
export const kindOf = (value: unknown): Kind | undefined => KINDS.find((kind) => kind === value);

/** What speaks to a platform, by what it finds there. */
export const CONNECTORS: Record<string, readonly string[]> = {
  volume: ["files", "btrfs", "reflink"],
  database: ["sqlite", "postgres", "mariadb", "redis"],
  vm: ["libvirt", "qemu"],
  network: ["libvirt"],
  settings: ["settings"],
  application: [],
};

/** How a resource is added: found on a host, by a form, or as text. */
export const WAYS = ["found", "form", "text"] as const;
export type Way = (typeof WAYS)[number];
export const wayOf = (value: unknown): Way | undefined => WAYS.find((way) => way === value);

interface Asked {
  q?: string | undefined;
  kind?: Kind | undefined;
  tag?: string | undefined;
}

export function fits({ name, spec }: Resource, { q, kind, tag }: Asked): boolean {
  if (kind && spec.kind !== kind) return false;
  if (tag && !(spec.tags ?? []).includes(tag)) return false;
  return !q || `${name} ${placeOf(spec)}`.toLowerCase().includes(q.toLowerCase());
}

export const tagsOf = (resources: Resource[]): string[] =>
  [...new Set(resources.flatMap(({ spec }) => spec.tags ?? []))].sort();

/** Where it is, in as few words as there are: the first thing that `at` says. */
export function placeOf({ at }: Pick<Resource["spec"], "at">): string {
  const told = (at ?? {}) as Record<string, unknown>;
  const first = told.path ?? told.uri ?? told.host ?? told.qmp ?? Object.values(told)[0];
  if (Array.isArray(first)) return first.join(", ");
  return typeof first === "string" ? first : first === undefined ? "" : JSON.stringify(first);
}
