import { expect, test } from "vitest";
import { expiryOf } from "./expiry";

test("a token is good until the end of its last day", () => {
  const end = new Date(expiryOf("2026-12-31") ?? "");
  expect([end.getFullYear(), end.getMonth(), end.getDate(), end.getHours()]).toEqual([
    2026, 11, 31, 23,
  ]);
});

test("without a day it has no end", () => {
  expect(expiryOf("")).toBeNull();
});
