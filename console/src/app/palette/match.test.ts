import { expect, test } from "vitest";
import { match } from "./match";

test("each part must be there, in any order", () => {
  expect(match("snap full", "Full snapshots")).toBeGreaterThan(0);
  expect(match("full restore", "Full snapshots")).toBe(0);
});

test("beginnings of words come before insides", () => {
  expect(match("shop", "shop")).toBeGreaterThan(match("shop", "workshop"));
});

test("nothing typed fits to all", () => {
  expect(match(" ", "anything")).toBe(1);
});
