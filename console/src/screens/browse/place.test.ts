import { expect, test } from "vitest";
import { askedOf, crumbsOf, type Place, placeOf } from "./place";

test.each<[Record<string, unknown>, Place]>([
  [{}, {}],
  [{ path: "a/b", partition: 1 }, { path: "a/b" }],
  [
    { disk: "d", partition: "1" },
    { disk: "d", partition: 1 },
  ],
  [{ disk: "d", partition: -1 }, { disk: "d" }],
  [{ hex: "61ff" }, { hex: "61ff" }],
  [{ hex: "6", path: 4 }, { path: "4" }],
])("the address %j is %j", (search, place) => {
  expect(placeOf(search)).toEqual(place);
});

test("bytes go before text", () => {
  expect(askedOf({ path: "a\uFFFD", hex: "61ff" })).toEqual({ path_hex: "61ff" });
  expect(askedOf({ path: "etc", disk: "d", partition: 0 })).toEqual({
    path: "etc",
    disk: "d",
    partition: 0,
  });
  expect(askedOf({})).toEqual({});
});

test("each step of a path is a place", () => {
  expect(crumbsOf({ path: "a/b" })).toEqual([
    { name: "a", place: { path: "a" } },
    { name: "b", place: { path: "a/b" } },
  ]);
});

test("from the first name that is not UTF-8 on, steps have their bytes", () => {
  const hex = "612fff2f63";
  expect(crumbsOf({ path: "a/\uFFFD/c", hex }).map(({ place }) => place.hex)).toEqual([
    undefined,
    "612fff",
    hex,
  ]);
});

test("a disk is a step, its partition another", () => {
  const place = { disk: "vms/x/a.img", partition: 1, path: "etc" };
  expect(crumbsOf(place)).toEqual([
    { name: "vms", place: { path: "vms" } },
    { name: "x", place: { path: "vms/x" } },
    { name: "a.img", place: { disk: "vms/x/a.img" } },
    { name: "#1", place: { disk: "vms/x/a.img", partition: 1 } },
    { name: "etc", place },
  ]);
});
