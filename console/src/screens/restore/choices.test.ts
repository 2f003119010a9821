import { expect, test } from "vitest";
import type { SnapshotItem } from "../../api/types";
import { choicesOf, expanded, first, tenantsOf, toggled } from "./choices";

const item = (place: string, over: Partial<SnapshotItem> = {}): SnapshotItem => ({
  name: place.slice(place.lastIndexOf("/") + 1),
  kind: "volume",
  outcome: "captured",
  entries: 1,
  bytes: 10,
  problems: 0,
  place,
  ...over,
});

const items = [
  item("tenants/system/volumes/documents"),
  item("tenants/system/apps/shop/files"),
  item("tenants/system/apps/shop/db", { outcome: "failed", reason: "it was gone" }),
  item("tenants/acme/apps/shop/files"),
  item("tenants/acme/volumes/broken", { outcome: "failed", reason: "unreadable" }),
  item("manager", { kind: "manager" }),
];
const choices = choicesOf(items);

test("an item of a tenant's part is the tenant's, as the server names it", () => {
  const [one] = choicesOf([item("volumes/pictures", { tenant_name: "acme", part: "5f" })]);
  expect(one).toMatchObject({ name: "pictures", tenant: "acme" });
});

test("an application is one choice with its parts, in each tenant its own", () => {
  const told = choices.map(({ name, tenant, bytes, parts }) => [name, tenant, bytes, parts.length]);
  expect(told).toEqual([
    ["documents", "system", 10, 0],
    ["shop", "system", 20, 2],
    ["shop", "acme", 10, 1],
    ["broken", "acme", 10, 0],
  ]);
  expect(tenantsOf(choices)).toEqual(["system", "acme"]);
});

test("what was not captured says why", () => {
  expect(choices[3]?.because).toBe("unreadable");
  expect(choices[1]?.because).toBeUndefined();
  expect(choices[1]?.parts[1]?.because).toBe("it was gone");
  const [lost] = choicesOf([item("tenants/a/apps/x/db", { outcome: "failed", reason: "gone" })]);
  expect(lost?.because).toBe("gone");
});

test("applications stand for those of their parts that were captured", () => {
  const own = choices.filter(({ tenant }) => tenant === "system");
  expect(expanded(["shop"], own)).toEqual(["files"]);
  expect(expanded(["files", "documents"], own)).toEqual(["documents", "files"]);
  expect(expanded([], own)).toEqual([]);
});

test("of a partial snapshot all is chosen at first that can be", () => {
  expect(first(choices, true)).toEqual(["documents", "shop", "shop"]);
  expect(first(choices, false)).toEqual([]);
});

test("choosing an application takes the place of its parts", () => {
  const shop = choices[1];
  if (!shop) throw new Error("it is there");
  expect(toggled(["files", "documents"], shop, true)).toEqual(["documents", "shop"]);
  expect(toggled(["shop", "files"], shop, false)).toEqual([]);
});
