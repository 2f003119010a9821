import { expect, test } from "vitest";
import type { Snapshot } from "../../api/types";
import { isExpired, stateOf } from "./standing";

const now = new Date("2026-11-22T12:00:00Z");
const past = "2026-11-21T00:00:00Z";
const future = "2026-12-21T00:00:00Z";

const snapshot = (over: Partial<Snapshot>): Snapshot =>
  ({ id: "5f0a", is_complete: true, expiry: future, scope: "full", ...over }) as Snapshot;

test("damage is told before anything else", () => {
  const verified = { damaged: 2, percent: 5, time: past };
  expect(stateOf(snapshot({ verified, is_complete: false, expiry: past }), now)).toBe("damaged");
  expect(stateOf(snapshot({ is_complete: false, expiry: past }), now)).toBe("incomplete");
  expect(stateOf(snapshot({}), now)).toBe("complete");
});

test("expiry, lock and holds must all be over", () => {
  expect(isExpired(snapshot({ expiry: past }), now)).toBe(true);
  expect(isExpired(snapshot({ expiry: null }), now)).toBe(false);
  expect(isExpired(snapshot({ expiry: past, locked_until: future }), now)).toBe(false);
  expect(isExpired(snapshot({ expiry: past, locked_until: past }), now)).toBe(true);
  expect(isExpired(snapshot({ expiry: past, holds: ["audit"] }), now)).toBe(false);
});
