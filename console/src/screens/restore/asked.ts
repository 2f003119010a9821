import type { AsNew, NewRestore } from "../../api/types";
import { text } from "../../app/search";

/** What is to be restored, as it stands in the address. */
export interface Asked {
  snapshot?: string;
  what?: What;
  /** Names of resources and applications. */
  resources?: string[];
  /** Of a full snapshot: whose, by id; none: the system's. */
  tenant?: string;
  /** One path in the tree, written to a directory. */
  path?: string;
  /** Several of them instead, each by its name. */
  paths?: string[];
  to?: string;
  agent?: string;
  overwrite?: true;
  beside?: Record<string, Beside>;
  /** Without a snapshot of what is replaced. */
  bare?: true;
}

/** A resource that is restored as new; places and rules are lines of `field=value`. */
export interface Beside {
  name: string;
  at: string;
  rules: string;
}

export const WHATS = ["all", "part", "files"] as const;
export type What = (typeof WHATS)[number];

export function askedOf(search: Record<string, unknown>): Asked {
  return {
    snapshot: text(search.snapshot),
    what: WHATS.find((what) => what === search.what),
    resources: namesOf(search.resources),
    tenant: text(search.tenant),
    path: text(search.path),
    paths: pathsOf(search.paths),
    to: text(search.to),
    agent: text(search.agent),
    overwrite: search.overwrite === true ? true : undefined,
    beside: besidesOf(search.beside),
    bare: search.bare === true ? true : undefined,
  };
}

/** Names of an address: a list, or one name, or several with commas. None at all is a choice too. */
function namesOf(value: unknown): string[] | undefined {
  const parts = Array.isArray(value) ? value : text(value)?.split(",");
  return parts?.map((part) => text(part)?.trim()).filter((part) => part !== undefined);
}

/** A path may have commas in it: several are a list. */
function pathsOf(value: unknown): string[] | undefined {
  const paths = (Array.isArray(value) ? value : [value]).flatMap((each) => text(each) ?? []);
  return paths.length > 0 ? paths : undefined;
}

function besidesOf(value: unknown): Record<string, Beside> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const all = Object.entries(value as Record<string, Partial<Beside> | null>);
  if (all.length === 0) return undefined;
  return Object.fromEntries(
    all.map(([name, each]) => [
      name,
      { name: text(each?.name) ?? "", at: text(each?.at) ?? "", rules: text(each?.rules) ?? "" },
    ]),
  );
}

/** What is meant where nobody chose: files if there is a path, a part if there are names. */
export function whatOf(asked: Asked, isPartial: boolean): What {
  if (asked.what && !(isPartial && asked.what === "all")) return asked.what;
  if (asked.path !== undefined || asked.paths) return "files";
  return asked.resources || isPartial ? "part" : "all";
}

/** `field=value` of each line; a line that is none of these is named. */
export function fieldsOf(lines: string): { fields: Record<string, string>; wrong?: string } {
  const fields: Record<string, string> = {};
  for (const line of lines.split("\n").map((each) => each.trim())) {
    if (line === "") continue;
    const at = line.indexOf("=");
    if (at < 1) return { fields, wrong: line };
    fields[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return { fields };
}

export type Lack = "snapshot" | "resources" | "path" | "to" | "name" | "fields";

/** What must still be said; `names` are the resources that would be restored. */
export function lackOf(asked: Asked, what: What, names: string[]): Lack | undefined {
  if (!asked.snapshot) return "snapshot";
  if (what === "files") {
    if (asked.path === undefined && !asked.paths) return "path";
    return asked.to ? undefined : "to";
  }
  if (what === "part" && names.length === 0) return "resources";
  for (const beside of besides(asked, what, names)) {
    if (!beside[1].name) return "name";
    if (fieldsOf(beside[1].at).wrong || fieldsOf(beside[1].rules).wrong) return "fields";
  }
  return undefined;
}

const besides = (asked: Asked, what: What, names: string[]): [string, Beside][] =>
  what === "part"
    ? Object.entries(asked.beside ?? {}).filter(([name]) => names.includes(name))
    : [];

/** The request: only what was chosen. */
export function newRestore(asked: Asked, what: What, names: string[]): NewRestore {
  const snapshot = asked.snapshot ?? "";
  const bare = asked.bare && { without_undo_point: true };
  if (what === "files") {
    const { path = "", paths, to = "", agent, overwrite } = asked;
    return {
      snapshot,
      files: {
        ...(paths ? { paths } : { path }),
        to,
        ...(agent && { agent }),
        ...(overwrite && { overwrite }),
      },
    };
  }
  if (what === "all") return { snapshot, ...bare };
  const beside = besides(asked, what, names).map(([name, each]): [string, AsNew] => [
    name,
    { name: each.name, at: fieldsOf(each.at).fields, rules: fieldsOf(each.rules).fields },
  ]);
  return {
    snapshot,
    resources: asked.resources ?? [],
    ...(asked.tenant && { tenants: [asked.tenant] }),
    ...(beside.length > 0 && { as_new: Object.fromEntries(beside) }),
    ...bare,
  };
}
