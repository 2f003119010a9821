import { expect, test } from "vitest";
import { joined, type Page, pagesIn } from "./pages";

const page = (ids: string, next?: string): Page => ({
  items: [...ids].map((id) => ({ id })),
  ...(next && { next }),
});
const idsOf = (of: Page | undefined) => of?.items.map(({ id }) => id).join("");

test.each([
  [[0, 1], [0]],
  [
    [2, 4],
    [0, 1],
  ],
  [
    [3, 3],
    [0, 1],
  ],
  [
    [7, 8],
    [0, 2],
  ],
] as const)("rows %o are in pages %o", (sight, pages) => {
  expect(pagesIn([page("abc"), page("def"), page("ghi")], sight)).toEqual(pages);
});

test.each([
  ["nothing changed", "abc", "abc", "abc"],
  ["one came", "abc", "nab", "nabc"],
  ["one went", "abc", "acd", "ac"],
  ["one came and one went", "abc", "nac", "nac"],
  ["all went", "abc", "def", ""],
  ["more came than a page holds", "abc", "xyz", undefined],
  ["nothing is left", "abc", "", undefined],
])("%s: %s, and now %s, is %s", (_, old, fresh, is) => {
  const found = joined(page(old, "c"), page(fresh, "other"), page("def"));
  expect(idsOf(found)).toBe(is);
  if (found) expect(found.next).toBe("c");
});

test("the last page ends where it ends now", () => {
  expect(joined(page("abc"), page("nab", "b"), undefined)).toEqual(page("nab", "b"));
});
