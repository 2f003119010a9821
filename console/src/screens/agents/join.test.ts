import { expect, test } from "vitest";
import { addressesOf } from "./join";

test.each([
  ["", []],
  ["backup.lan:8443", ["backup.lan:8443"]],
  [" a:1, b:2\nc:3 ", ["a:1", "b:2", "c:3"]],
])("%j are %o", (text, addresses) => {
  expect(addressesOf(text)).toEqual(addresses);
});
