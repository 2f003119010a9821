import { expect, test } from "vitest";
import { differs, type Given, isWhole, newKey } from "./draft";

const given: Given = { way: "passphrase", label: " mine ", secret: "", again: "" };

test.each<[Partial<Given>, boolean]>([
  [{}, false],
  [{ secret: "one" }, false],
  [{ secret: "one", again: "other" }, false],
  [{ secret: "one", again: "one" }, true],
  [{ way: "recipient", secret: " " }, false],
  [{ way: "recipient", secret: "age1a" }, true],
  [{ way: "recovery" }, true],
])("%o is whole: %s", (over, is) => {
  expect(isWhole({ ...given, ...over })).toBe(is);
});

test("one that is not typed again yet does not differ", () => {
  expect(differs({ ...given, secret: "one" })).toBe(false);
  expect(differs({ ...given, secret: "one", again: "on" })).toBe(true);
});

test("one way is asked for, whatever else was typed", () => {
  const none = { label: "mine", passphrase: null, recipient: null, recovery: false };
  const typed = { ...given, secret: " age1a " };
  expect(newKey(typed)).toEqual({ ...none, passphrase: " age1a " });
  expect(newKey({ ...typed, way: "recipient" })).toEqual({ ...none, recipient: "age1a" });
  expect(newKey({ ...typed, way: "recovery" })).toEqual({ ...none, recovery: true });
});
