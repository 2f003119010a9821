import { expect, test } from "vitest";
import type { StorageState } from "../../api/types";
import { unknownSince } from "./known";

const NOW = new Date("2026-11-22T12:00:00Z");
const usage: StorageState["usage"] = { used_bytes: 0, history: [] };

test.each([
  ["2026-11-22T03:15:00Z", usage, undefined],
  ["2026-11-21T11:00:00Z", usage, undefined],
  ["2026-11-20T03:15:00Z", usage, "2026-11-20T03:15:00Z"],
  ["2026-11-22T03:15:00Z", null, "2026-11-22T03:15:00Z"],
])("checked at %s: not known since %s", (checked, usage, since) => {
  const state: StorageState = { checked, usage, is_good: true, checks: [] };
  expect(unknownSince(state, NOW)).toEqual(since && new Date(since));
});
