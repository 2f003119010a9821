import { expect, test } from "vitest";
import { DRAFT, type Draft, isWhole, newImport } from "./importing";

test.each<[Partial<Draft>, boolean]>([
  [{}, false],
  [{ passphrase: "secret" }, true],
  [{ key: "identity", passphrase: "secret" }, false],
  [{ key: "identity", identity: "AGE-SECRET-KEY-1X" }, true],
  [{ key: "none" }, true],
])("%j is enough: %s", (over, is) => {
  expect(isWhole({ ...DRAFT, ...over })).toBe(is);
});

test("only the key that was chosen is sent", () => {
  const both = { ...DRAFT, passphrase: "secret", identity: " AGE-SECRET-KEY-1X " };
  const rest = {
    passphrase: null,
    identity: null,
    is_private: true,
    keep: "1m",
    storage: null,
    tenant: null,
  };
  expect(newImport(both)).toEqual({ ...rest, passphrase: "secret" });
  expect(newImport({ ...both, key: "identity" })).toEqual({
    ...rest,
    identity: "AGE-SECRET-KEY-1X",
  });
  expect(newImport({ ...both, key: "none" })).toEqual(rest);
});
