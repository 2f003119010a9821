import { describe, expect, test } from "vitest";
import {
  type Asked,
  askedOf,
  fieldsOf,
  type Lack,
  lackOf,
  newRestore,
  type What,
  whatOf,
} from "./asked";

const beside = { name: "copy", at: "path=/srv/copy", rules: "" };

test.each<[unknown, string[] | undefined]>([
  ["shop", ["shop"]],
  ["shop,documents", ["shop", "documents"]],
  [
    ["shop", 4],
    ["shop", "4"],
  ],
  ["", undefined],
  [[], []],
  [{}, undefined],
])("resources of %j are %j", (resources, names) => {
  expect(askedOf({ resources }).resources).toEqual(names);
});

test.each<[Asked, boolean, What]>([
  [{}, false, "all"],
  [{}, true, "part"],
  [{ what: "all" }, true, "part"],
  [{ resources: ["shop"] }, false, "part"],
  [{ path: "tenants" }, false, "files"],
  [{ path: "tenants", what: "part" }, false, "part"],
  [{ paths: ["a", "b"] }, false, "files"],
])("%j of a partial one (%s) means %s", (asked, isPartial, what) => {
  expect(whatOf(asked, isPartial)).toBe(what);
});

test.each<[unknown, string[] | undefined]>([
  ["a, b", ["a, b"]],
  [
    ["a", "12", 12],
    ["a", "12", "12"],
  ],
  [[""], undefined],
  [undefined, undefined],
])("paths %j are %j", (paths, are) => {
  expect(askedOf({ paths }).paths).toEqual(are);
});

test("places and rules are lines, and a wrong one is named", () => {
  expect(fieldsOf("path=/srv/x\n\n port = 5433 ")).toEqual({
    fields: { path: "/srv/x", port: "5433" },
  });
  expect(fieldsOf("a=b=c").fields).toEqual({ a: "b=c" });
  expect(fieldsOf("path /srv/x").wrong).toBe("path /srv/x");
});

describe("what must still be said", () => {
  const part = { snapshot: "s", resources: ["shop"] };
  test.each<[Asked, What, string[], Lack | undefined]>([
    [{}, "all", [], "snapshot"],
    [{ snapshot: "s" }, "all", [], undefined],
    [{ snapshot: "s" }, "part", [], "resources"],
    [{ snapshot: "s" }, "files", [], "path"],
    [{ snapshot: "s", path: "a" }, "files", [], "to"],
    [{ snapshot: "s", paths: ["a", "b"] }, "files", [], "to"],
    [{ snapshot: "s", path: "a", to: "/x" }, "files", [], undefined],
    [{ ...part, beside: { shop: { ...beside, name: "" } } }, "part", ["shop"], "name"],
    [{ ...part, beside: { shop: { ...beside, at: "x" } } }, "part", ["shop"], "fields"],
    [{ ...part, beside: { gone: { ...beside, name: "" } } }, "part", ["shop"], undefined],
  ])("of %j as %s with %j: %s", (asked, what, names, lack) => {
    expect(lackOf(asked, what, names)).toBe(lack);
  });
});

test("only what was chosen is asked for", () => {
  const asked: Asked = { snapshot: "s", resources: ["shop"], path: "a", to: "/x", bare: true };
  expect(newRestore(asked, "all", [])).toEqual({ snapshot: "s", without_undo_point: true });
  expect(newRestore(asked, "files", [])).toEqual({
    snapshot: "s",
    files: { path: "a", to: "/x" },
  });
  expect(newRestore({ ...asked, paths: ["a", "b"] }, "files", [])).toEqual({
    snapshot: "s",
    files: { paths: ["a", "b"], to: "/x" },
  });
  const chosen = { ...asked, tenant: "t", beside: { files: beside, gone: beside } };
  expect(newRestore(chosen, "part", ["files"])).toEqual({
    snapshot: "s",
    resources: ["shop"],
    tenants: ["t"],
    as_new: { files: { name: "copy", at: { path: "/srv/copy" }, rules: {} } },
    without_undo_point: true,
  });
});
