import type { Kind, SnapshotItem } from "../../api/types";

/** Something that can be chosen from a snapshot: a resource, or an application with its parts. */
export interface Choice {
  name: string;
  kind: Kind;
  /** Name of the tenant whose it is. */
  tenant: string;
  bytes: number;
  /** Why it cannot be restored. */
  because?: string;
  parts: Choice[];
}

const APPLICATION = /^tenants\/([^/]+)\/apps\/([^/]+)\//;
const TENANT = /^tenants\/([^/]+)\//;

/** What is offered, in the order of the snapshot. The manager itself goes another way. */
export function choicesOf(items: SnapshotItem[]): Choice[] {
  const choices: Choice[] = [];
  for (const item of items) {
    if (item.kind === "manager") continue;
    const one = choiceOf(item);
    const name = APPLICATION.exec(item.place)?.[2];
    if (name === undefined) {
      choices.push(one);
      continue;
    }
    const isOf = (each: Choice) =>
      each.kind === "application" && each.name === name && each.tenant === one.tenant;
    const known = choices.find(isOf);
    if (known) {
      known.parts.push(one);
      known.bytes += one.bytes;
    } else {
      choices.push({ ...one, name, kind: "application", because: undefined, parts: [one] });
    }
  }
  return choices.map((choice) => ({ ...choice, because: choice.because ?? noneOf(choice) }));
}

function choiceOf(item: SnapshotItem): Choice {
  return {
    name: item.name,
    kind: item.kind,
    tenant: item.tenant_name ?? TENANT.exec(item.place)?.[1] ?? "",
    bytes: item.bytes,
    because: item.outcome === "captured" ? undefined : (item.reason ?? item.outcome),
    parts: [],
  };
}

/** An application of which nothing was captured cannot be restored either. */
const noneOf = ({ parts }: Choice): string | undefined =>
  parts.length > 0 && parts.every(({ because }) => because) ? parts[0]?.because : undefined;

/** Names of the resources that would be restored: applications stand for their parts. */
export function expanded(chosen: string[], choices: Choice[]): string[] {
  return choices.flatMap((choice) => {
    const parts = choice.parts.length > 0 ? choice.parts : [choice];
    return parts
      .filter(({ because }) => !because)
      .map(({ name }) => name)
      .filter((name) => chosen.includes(choice.name) || chosen.includes(name));
  });
}

/** What is chosen where nobody chose: of a partial snapshot all that it holds. */
export const first = (own: Choice[], isPartial: boolean): string[] =>
  isPartial ? own.filter(({ because }) => !because).map(({ name }) => name) : [];

/** Chosen or not: with an application, its parts need no mention of their own. */
export function toggled(chosen: string[], choice: Choice, is: boolean): string[] {
  const own = new Set([choice.name, ...choice.parts.map(({ name }) => name)]);
  const others = chosen.filter((name) => !own.has(name));
  return is ? [...others, choice.name] : others;
}

export const tenantsOf = (choices: Choice[]): string[] => [
  ...new Set(choices.map(({ tenant }) => tenant)),
];
