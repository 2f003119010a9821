import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Who } from "../api/types";
import { type May, may } from "./rights";

const who = (...actions: string[]) => ({ actions }) as unknown as Who;

test("what the server does not list is not allowed", () => {
  expect(may(who("see", "restore"), "restore")).toBe(true);
  expect(may(who("see", "restore"), "change")).toBe(false);
  expect(may({} as Who, "see")).toBe(false);
});

test("each right is one that the description of the API knows", () => {
  const description = readFileSync(new URL("../../../openapi/v1.json", import.meta.url), "utf8");
  const known = new Set(
    [...description.matchAll(/"x-tintype-action": "([^"]+)"/g)].map(([, name]) => name),
  );
  const all: May[] = ["see", "snapshot", "restore", "change", "users", "audit", "system"];
  for (const each of all) expect([...known].some((name) => may(who(name ?? ""), each))).toBe(true);
});
