import { expect, test } from "vitest";
import type { Entry } from "../../api/types";
import { changedOf, mayBeDisk, placeAt, unfitOf } from "./entry";

const entry = (over: Partial<Entry>): Entry => ({ path: "a", kind: "file", ...over }) as Entry;

test.each<[number, number, string | undefined]>([
  [1_795_383_288, 10_303_076, "2026-11-22T21:34:48.010Z"],
  [-1, 0, "1969-12-31T23:59:59.000Z"],
  [0, 0, undefined],
  [9e15, 0, undefined],
])("%d s and %d ns are %s", (seconds, nanoseconds, told) => {
  expect(changedOf(entry({ mtime: { seconds, nanoseconds } }))?.toISOString()).toBe(told);
});

test.each<[Partial<Entry>, boolean]>([
  [{ kind: "image", path: "vda" }, true],
  [{ path: "a/disk.IMG" }, true],
  [{ path: "a/img" }, false],
  [{ kind: "directory", path: "a.img" }, false],
])("%j may be a disk: %s", (over, is) => {
  expect(mayBeDisk(entry(over))).toBe(is);
});

test("an entry on a disk stays on it", () => {
  const place = placeAt(entry({ path: "etc" }), { disk: "d", partition: 1, q: "x" });
  expect(place).toEqual({ path: "etc", disk: "d", partition: 1 });
  expect(unfitOf(place)).toBe("disk");
  expect(unfitOf({ path: "\uFFFD", hex: "ff" })).toBe("name");
  expect(unfitOf({ path: "a" })).toBeUndefined();
});
