import { expect, test } from "vitest";
import type { Status } from "../../api/types";
import { answerOf } from "./answer";

const status = (resources: object[], warnings: object[] = []): Status =>
  ({ resources, warnings, installation: "i", time: "", version: "" }) as unknown as Status;
const protectedOne = (last_good?: string) => ({ is_protected: true, last_good });

test("green only if each that is to be protected can be restored and nothing warns", () => {
  const one = protectedOne("2026-11-22T01:00:00Z");
  const older = protectedOne("2026-11-20T01:00:00Z");
  expect(answerOf(status([one, older]))).toEqual({
    good: 2,
    all: 2,
    oldest: "2026-11-20T01:00:00Z",
    standing: "good",
  });
  expect(answerOf(status([one, protectedOne()])).standing).toBe("failed");
  expect(answerOf(status([one], [{ code: "no-full" }])).standing).toBe("failed");
  expect(answerOf(status([one], [{ code: "storage-warns" }])).standing).toBe("attention");
});

test("what is switched off does not count", () => {
  expect(answerOf(status([{ is_protected: false }])).all).toBe(0);
});
