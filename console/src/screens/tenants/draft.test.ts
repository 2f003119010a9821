import { expect, test } from "vitest";
import { draftOf, specOf } from "./draft";

const whole = {
  description: "d",
  is_entitled: true,
  may_snapshot: false,
  may_restore: true,
  quota_bytes: 5 * 1024 ** 3,
  runs_at_once: 2,
  lock_days_at_most: 30,
};

test("what is read is written as it was", () => {
  expect(specOf(draftOf("acme", whole))).toEqual(whole);
});

test.each([
  ["", null],
  ["1.5", 1.5 * 1024 ** 3],
  ["1,5", 1.5 * 1024 ** 3],
  ["much", null],
])("a quota of %j is %s", (quota, bytes) => {
  expect(specOf({ ...draftOf("acme", {}), quota }).quota_bytes).toBe(bytes);
});
