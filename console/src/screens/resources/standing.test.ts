import { expect, test } from "vitest";
import type { Resource, Standing } from "../../api/types";
import { standingOfParts, type Told } from "./standing";

const part = (name: string, health: Standing["health"], last_good?: string) =>
  ({ name, tenant: "t", health, last_good }) as Standing;
const shop = (...parts: string[]) =>
  ({
    tenant: "t",
    spec: { kind: "application", components: parts.map((resource) => ({ resource })) },
  }) as unknown as Resource;

const all = [
  part("db", "good", "2026-11-22T01:00:00Z"),
  part("files", "attention", "2026-11-20T01:00:00Z"),
  part("new", "never"),
  { ...part("foreign", "good", "2026-11-22T01:00:00Z"), tenant: "other" },
];

test.each<[string[], Told | undefined]>([
  [["db"], { health: "good", last_good: "2026-11-22T01:00:00Z" }],
  [["db", "files"], { health: "attention", last_good: "2026-11-20T01:00:00Z" }],
  [["db", "new"], { health: "never", last_good: undefined }],
  [["db", "gone"], undefined],
  [["foreign"], undefined],
  [[], undefined],
])("an application of %j stands as %o", (parts, told) => {
  expect(standingOfParts(shop(...parts), all)).toEqual(told);
});
