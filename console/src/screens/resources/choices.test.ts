import { expect, test } from "vitest";
import type { Resource } from "../../api/types";
import { fits, placeOf, tagsOf } from "./choices";

const resource = (name: string, spec: object) => ({ name, spec }) as unknown as Resource;
const documents = resource("documents", {
  kind: "volume",
  at: { mounted: true, path: "/srv/Docs" },
  tags: ["office"],
});

test.each<[Parameters<typeof fits>[1], boolean]>([
  [{}, true],
  [{ q: "docs" }, true],
  [{ q: "else" }, false],
  [{ kind: "database" }, false],
  [{ kind: "volume", tag: "office" }, true],
  [{ tag: "shop" }, false],
])("%o fits: %s", (asked, is) => {
  expect(fits(documents, asked)).toBe(is);
});

test("tags are told once, in order", () => {
  expect(tagsOf([resource("a", { tags: ["b", "a"] }), documents, resource("c", {})])).toEqual([
    "a",
    "b",
    "office",
  ]);
});

test("a place is told in words", () => {
  expect(placeOf({ at: { host: "db.lan", user: "u" } as never })).toBe("db.lan");
  expect(placeOf({})).toBe("");
});
