import { expect, test } from "vitest";
import type { Snapshot, SnapshotScope } from "../../api/types";
import { beforeOf, isBeside } from "./pair";

const taken = (id: string, scope: SnapshotScope, storage = "s", tenant = "t"): Snapshot =>
  ({ id, scope, storage, tenant, time: `2026-11-${id}T00:00:00Z` }) as Snapshot;
const all = [
  taken("05", "full"),
  taken("04", "partial"),
  taken("03", "full", "other"),
  taken("02", "full"),
  taken("01", "partial", "s", "acme"),
];

test("the one before is of the same scope, storage and tenant", () => {
  const before = (at: number) => beforeOf(all, all[at] as Snapshot)?.id;
  expect([0, 1, 2, 3, 4].map(before)).toEqual(["02", "02", undefined, undefined, undefined]);
});

test("nothing lies beside itself", () => {
  const [one, other] = all as [Snapshot, Snapshot];
  expect(isBeside(one, one)).toBe(false);
  expect(isBeside(one, other)).toBe(true);
});
