import type { Pair } from "../resources/form/pairs";

/** Which fields say where a server of each kind is (docs/resources.md). */
const PLACES: Record<string, string[]> = {
  postgres: ["host", "port", "user"],
  mariadb: ["host", "port", "user"],
  redis: ["host", "port"],
  libvirt: ["uri"],
};
export const SPEAKS = Object.keys(PLACES);

export const placeFor = (speaks: string): Pair[] =>
  (PLACES[speaks] ?? []).map((key) => ({ key, value: "" }));

/** A field without a value is not said: the server has a default of its own. */
export const told = (pairs: Pair[]): Pair[] => pairs.filter(({ value }) => value.trim() !== "");
