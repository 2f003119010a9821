import { expect, test } from "vitest";
import { DRAFT, type Draft, missing, specOf, urlOf } from "./draft";

test.each<[Partial<Draft>, string]>([
  [{ kind: "internal" }, ""],
  [{ kind: "directory", path: " /srv/tintype " }, "/srv/tintype"],
  [{ kind: "s3", bucket: "b" }, "s3://b"],
  [
    {
      kind: "s3",
      bucket: "b",
      prefix: "/of/us/",
      endpoint: "https://garage.lan:3900",
      region: "home",
      isPathStyle: true,
    },
    "s3://b/of/us?endpoint=https://garage.lan:3900&region=home&path-style=true",
  ],
  [{ kind: "google", bucket: "b", prefix: "p", region: "not of Google" }, "gs://b/p"],
  [{ kind: "azure", account: "a", container: "c" }, "azure://a/c"],
])("%o is at %s", (over, url) => {
  expect(urlOf({ ...DRAFT, ...over })).toBe(url);
});

test("what must be told is named", () => {
  expect(missing({ ...DRAFT, kind: "mounted", name: "nas" })).toEqual(["path", "mountPoint"]);
  expect(missing({ ...DRAFT, kind: "azure", name: "a", account: "a", container: "c" })).toEqual([]);
});

test("only clouds have keys, and one without a secret keeps the secret that there is", () => {
  const draft = { ...DRAFT, keyId: "AK", secret: "s", agentKeyId: "AG" };
  expect(specOf({ ...draft, kind: "directory" })).not.toHaveProperty("access_key");
  expect(specOf({ ...draft, kind: "s3" })).toMatchObject({
    access_key: { id: "AK", secret: "s" },
    agent_access_key: { id: "AG" },
  });
});
