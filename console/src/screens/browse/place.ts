import { text } from "../../app/search";

/** Somewhere in a snapshot, or on a disk in it, as it stands in the address. */
export interface Place {
  path?: string;
  /** The same in hexadecimal digits, where it is not UTF-8. */
  hex?: string;
  /** Path of a disk image in the tree: `path` is one on it. */
  disk?: string;
  partition?: number;
  /** Only what has this in its path. */
  q?: string;
}

export function placeOf(search: Record<string, unknown>): Place {
  const disk = text(search.disk);
  const hex = text(search.hex);
  return {
    path: text(search.path),
    hex: hex && /^([0-9a-f]{2})+$/.test(hex) ? hex : undefined,
    disk,
    partition: disk ? numberOf(search.partition) : undefined,
    q: text(search.q),
  };
}

function numberOf(value: unknown): number | undefined {
  const number = Number(value);
  return value !== undefined && Number.isInteger(number) && number >= 0 ? number : undefined;
}

/** What the server is asked for: the bytes of a path go before its text. */
export function askedOf({ path, hex, disk, partition }: Place) {
  return {
    ...(hex ? { path_hex: hex } : path ? { path } : {}),
    ...(disk && { disk }),
    ...(partition !== undefined && { partition }),
  };
}

export interface Crumb {
  name: string;
  place: Place;
}

const SLASH = "2f";

/** The way to a place, from the outside in. A disk is one step of it. */
export function crumbsOf(place: Place): Crumb[] {
  if (!place.disk) return stepsOf(place);
  const { disk, partition } = place;
  const inside = stepsOf(place).map(({ name, place: on }) => ({
    name,
    place: { ...on, disk, partition },
  }));
  const root =
    partition === undefined ? [] : [{ name: `#${partition}`, place: { disk, partition } }];
  return [
    ...stepsOf({ path: disk }).slice(0, -1),
    { name: lastOf(disk), place: { disk } },
    ...root,
    ...inside,
  ];
}

function stepsOf({ path = "", hex }: Place): Crumb[] {
  const names = path.split("/").filter(Boolean);
  const bytes = hex ? splitHex(hex) : [];
  return names.map((name, at) => ({
    name,
    place: {
      path: names.slice(0, at + 1).join("/"),
      ...(hex && bytes.length === names.length && at + 1 >= firstOdd(names)
        ? { hex: bytes.slice(0, at + 1).join(SLASH) }
        : {}),
    },
  }));
}

/** From which part on a path is not UTF-8: there its text has a sign for what cannot be shown. */
function firstOdd(names: string[]): number {
  const at = names.findIndex((name) => name.includes("\uFFFD"));
  return at < 0 ? names.length : at + 1;
}

export function splitHex(hex: string): string[] {
  const parts = [""];
  for (const byte of hex.match(/../g) ?? []) {
    if (byte === SLASH) parts.push("");
    else parts[parts.length - 1] += byte;
  }
  return parts.filter(Boolean);
}

export const lastOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Two snapshots, and where in them. */
export interface Compared {
  from?: string;
  to?: string;
  path?: string;
  hex?: string;
}

export function comparedOf(search: Record<string, unknown>): Compared {
  const { path, hex } = placeOf(search);
  return { from: text(search.from), to: text(search.to), path, hex };
}
