import { expect, test } from "vitest";
import { addressOf } from "./RowLink";

test.each([
  [{ to: "/snapshots/$id", params: { id: "0a1b" } }, "/snapshots/0a1b"],
  [{ to: "/browse/$id", params: { id: "a/b" } }, "/browse/a%2Fb"],
  [{ to: "/restore/new", search: { snapshot: "0a1b" } }, "/restore/new?snapshot=0a1b"],
  // An address knows numbers: what only looks like one is marked as text.
  [{ to: "/restore/new", search: { snapshot: "12e4" } }, "/restore/new?snapshot=%2212e4%22"],
] as const)("%o is %s", (goal, address) => {
  expect(addressOf(goal)).toBe(address);
});
