import { expect, test } from "vitest";
import type { Entry } from "../../api/types";
import { filesOf, pathsOf, picksOf, toggled } from "./picked";

const entry = (path: string, over: Partial<Entry> = {}) =>
  ({ path, kind: "file", is_lost: false, ...over }) as Entry;

test.each([
  [undefined, undefined],
  ["a.txt", ["a.txt"]],
  [
    ["a", 3, "b", "a"],
    ["a", "b"],
  ],
])("%o in an address chooses %o", (value, picks) => {
  expect(picksOf(value)).toEqual(picks);
});

test("what is chosen twice is chosen once, and nothing leaves no trace", () => {
  expect(toggled(["a"], "a", true)).toEqual(["a"]);
  expect(toggled(["a"], "a", false)).toBeUndefined();
  expect(toggled(undefined, "b", true)).toEqual(["b"]);
});

test("only files that are listed and chosen are downloaded", () => {
  const all = [
    entry("d/a b.txt"),
    entry("d/b.txt"),
    entry("d/c", { kind: "directory" }),
    entry("d/\uFFFD", { path_hex: "642ffe" }),
    entry("d/lost", { is_lost: true }),
  ];
  expect(filesOf("5f", all, ["a b.txt", "c", "642ffe", "lost", "gone"], {})).toEqual([
    { name: "a b.txt", address: "/api/v1/snapshots/5f/file?path=d%2Fa+b.txt" },
    { name: "\uFFFD", address: "/api/v1/snapshots/5f/file?path_hex=642ffe" },
    { name: "lost", address: "/api/v1/snapshots/5f/file?path=d%2Flost&incomplete=true" },
  ]);
});

test("a file on a disk is asked for there", () => {
  const [file] = filesOf("5f", [entry("etc/hosts")], ["hosts"], { disk: "vm.img", partition: 2 });
  expect(file?.address).toContain("path=etc%2Fhosts&disk=vm.img&partition=2");
});

test.each([
  [["a.txt", "b.txt"], {}, ["d/a.txt", "d/b.txt"]],
  [["a.txt", "c"], {}, ["d/a.txt"]],
  [["a.txt", "642ffe"], {}, undefined],
  [["a.txt", "lost"], {}, undefined],
  [["a.txt"], { disk: "vm.img", partition: 1 }, undefined],
  [["gone"], {}, undefined],
])("of %o in %o are restored at once: %o", (picks, place, paths) => {
  const all = [
    entry("d/a.txt"),
    entry("d/b.txt"),
    entry("d/c", { kind: "directory" }),
    entry("d/\uFFFD", { path_hex: "642ffe" }),
    entry("d/lost", { is_lost: true }),
  ];
  expect(pathsOf(all, picks, place)).toEqual(paths);
});
