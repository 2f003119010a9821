import { expect, test } from "vitest";
import { namedBy, wantedOf } from "./wanted";

test.each([
  ["anna.txt", { contains: "anna.txt" }],
  ["*.conf", { pattern: "*.conf" }],
  ["etc/**/host?", { pattern: "etc/**/host?" }],
  ["[ab].txt", { pattern: "[ab].txt" }],
])("%s is asked for as %o", (typed, asked) => {
  expect(namedBy(typed)).toEqual(asked);
});

test("an address that says nothing asks for nothing", () => {
  expect(wantedOf({ q: "", path: {} })).toEqual({});
  expect(wantedOf({ q: 42 }).q).toBe("42");
});
