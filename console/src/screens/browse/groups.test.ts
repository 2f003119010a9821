import { expect, test } from "vitest";
import type { Change, Difference, Entry } from "../../api/types";
import { groupsOf, itself } from "./groups";

const differs = (path: string, change: Change, over: Partial<Difference> = {}): Difference => ({
  path,
  change,
  ...over,
});
const all = [
  differs("a/new", "added"),
  differs("a/sub", "metadata"),
  differs("a/sub/x", "content"),
  differs("a/sub/y", "removed"),
  differs("b", "removed"),
];

test("differences are told by directory, with what lies below", () => {
  const [a, b] = groupsOf(all);
  expect([a?.name, a?.below, a?.counts.added, a?.own]).toEqual(["a", 4, 1, undefined]);
  expect([b?.name, b?.below, b?.own?.change]).toEqual(["b", 0, "removed"]);
  const [added, sub] = groupsOf(all, "a");
  expect([added?.path, sub?.path, sub?.below]).toEqual(["a/new", "a/sub", 2]);
  expect(sub?.counts).toEqual({ added: 0, removed: 1, content: 1, metadata: 1, type: 0 });
});

test("names that are not UTF-8 are told apart by their bytes", () => {
  const odd = (hex: string) => differs("d/\uFFFD/f", "added", { path_hex: `642f${hex}2f66` });
  expect(groupsOf([odd("fe"), odd("ff")], "d").map(({ hex }) => hex)).toEqual(["642ffe", "642fff"]);
});

test("a directory is looked into, a file is shown", () => {
  const file = differs("a/x", "content", { new: { kind: "file" } as Entry });
  const directory = differs("a", "metadata", { new: { kind: "directory" } as Entry });
  expect(itself([directory, file], "a/x")).toBe(file);
  expect(itself([directory, file], "a")).toBeUndefined();
});
