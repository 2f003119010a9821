import { expect, test } from "vitest";
import type { Status } from "../../api/types";
import { answerOf, seriousFirst } from "./answer";

const NONE = { good: 0, attention: 0, failed: 0, never: 0, unprotected: 0 };
const status = (counts: object, ...codes: string[]): Status =>
  ({
    counts: { ...NONE, ...counts },
    warnings: codes.map((code) => ({ code })),
  }) as unknown as Status;

test("green only if each that is to be protected can be restored and nothing warns", () => {
  expect(answerOf(status({ good: 2 }))).toMatchObject({ good: 2, all: 2, standing: "good" });
  expect(answerOf(status({ good: 1, never: 1 }))).toMatchObject({
    good: 1,
    all: 2,
    standing: "failed",
  });
  expect(answerOf(status({ good: 1, failed: 1 }))).toMatchObject({
    good: 2,
    all: 2,
    standing: "failed",
  });
  expect(answerOf(status({ good: 1 }, "no-full")).standing).toBe("failed");
  expect(answerOf(status({ good: 1 }, "storage-warns")).standing).toBe("attention");
  expect(answerOf(status({ good: 1, attention: 1 })).standing).toBe("attention");
});

test("while another manager leads nothing is said of what can be restored", () => {
  expect(answerOf(status({ good: 2 }, "replaced"))).toMatchObject({
    isReplaced: true,
    standing: "failed",
  });
  expect(answerOf(status({ good: 2 }, "no-full")).isReplaced).toBe(false);
});

test("what is switched off does not count", () => {
  expect(answerOf(status({ unprotected: 3 })).all).toBe(0);
});

test("what a restore would fail for comes first, otherwise in the server's order", () => {
  const codes = ["no-schedule", "storage", "storage-warns", "no-full"] as const;
  const warnings = codes.map((code) => ({ code, what: "", cure: "" }));
  expect(seriousFirst(warnings).map(({ code }) => code)).toEqual([
    "storage",
    "no-full",
    "no-schedule",
    "storage-warns",
  ]);
});
