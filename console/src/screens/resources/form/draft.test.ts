import { expect, test } from "vitest";
import type { ResourceSpec } from "../../../api/types";
import { draftOf, specOf } from "./draft";
import { fieldsOf, pairsOf } from "./pairs";

const volume = {
  kind: "volume",
  connector: "files",
  agent: null,
  at: { path: "/srv", mounted: true },
  tags: ["a", "b"],
  is_protected: false,
  consistency: "filesystem",
  excludes: ["cache/", "*.tmp"],
  hooks: [{ phase: "post-run", command: ["echo"] }],
} as unknown as ResourceSpec;
const application: ResourceSpec = {
  kind: "application",
  components: [
    { resource: "db", order: 0 },
    { resource: "files", group: "later" },
  ],
  tags: [],
  is_protected: true,
  consistency: null,
};

test.each([[volume], [application]])("what is read is written as it was: %o", (spec) => {
  expect(specOf(draftOf("one", spec))).toEqual(spec);
});

test.each<[string, unknown]>([
  ["true", true],
  ["5432", 5432],
  ['["a","b"]', ["a", "b"]],
  ["/srv/a b", "/srv/a b"],
  ['"12"', "12"],
  ["[half", "[half"],
])("%s is read as %o", (value, is) => {
  expect(fieldsOf([{ key: "k", value }])).toEqual({ k: is });
});

test("text that looks like a number stays text", () => {
  const at = { user: "12", port: 5432 };
  expect(fieldsOf(pairsOf(at))).toEqual(at);
});
