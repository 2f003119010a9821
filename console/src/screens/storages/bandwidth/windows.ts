import type { Blackout, Storage } from "../../../api/types";

export interface RateWindow extends Blackout {
  /** In a second: `20MiB`. */
  rate: string;
}

export interface Limits {
  zone: string;
  windows: RateWindow[];
}

/** What the API calls just an object: the windows, as docs/storages.md has them. */
export function limitsOf(bandwidth: Storage["spec"]["bandwidth"]): Limits {
  const told = (bandwidth ?? {}) as { time_zone?: string; windows?: RateWindow[] };
  return { zone: told.time_zone ?? "UTC", windows: told.windows ?? [] };
}

/** Without a window nothing is limited. */
export function bandwidthOf({ zone, windows }: Limits): Storage["spec"]["bandwidth"] {
  if (windows.length === 0) return null;
  return { time_zone: zone, windows } as unknown as Storage["spec"]["bandwidth"];
}
