import type { Health, Resource, Standing } from "../../api/types";

export type Told = Pick<Standing, "health" | "last_good">;

const WORST_FIRST: Health[] = ["never", "failed", "attention", "unprotected", "good"];

/**
 * How an application stands: as the worst of its parts, restorable as of when the oldest is. Of a part that
 * nothing is known of nothing is said. Parts are named, and are of the same tenant.
 */
export function standingOfParts({ spec, tenant }: Resource, all: Standing[]): Told | undefined {
  const names = (spec.components ?? []).map(({ resource }) => resource);
  const parts = names.map((name) =>
    all.find((each) => each.name === name && each.tenant === tenant),
  );
  if (parts.length === 0 || parts.includes(undefined)) return undefined;
  const known = parts.filter((part) => part !== undefined);
  const health = WORST_FIRST.find((each) => known.some((part) => part.health === each));
  if (!health) return undefined;
  const goods = known.map(({ last_good }) => last_good);
  const oldest = goods.every((at) => at) ? goods.toSorted()[0] : undefined;
  return { health, last_good: oldest };
}
