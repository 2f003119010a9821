import { expect, test } from "vitest";
import { readDescribed, wantedOf } from "./described";
import { readYaml } from "./yaml";

const SHOP = `version: 1
resources:
- kind: database   # its data
  name: shop-db
  connector: postgres
  at: { host: /run/postgresql, port: 5432, user: "post # gres" }
- name: shop
  kind: application
  version: { command: [ shop, --version ] }
  components:
  - { resource: shop-db }
  - resource: shop-files
    group: later
  hooks:
    - phase: pre-quiesce
      command: [shop, 'it''s']
  tags:
  - a
`;

test("a file of resources is read", () => {
  expect(readDescribed(SHOP)).toEqual([
    {
      name: "shop-db",
      spec: {
        kind: "database",
        connector: "postgres",
        at: { host: "/run/postgresql", port: 5432, user: "post # gres" },
        is_protected: true,
      },
    },
    {
      name: "shop",
      spec: {
        kind: "application",
        version: { command: ["shop", "--version"] },
        components: [{ resource: "shop-db" }, { resource: "shop-files", group: "later" }],
        hooks: [{ phase: "pre-quiesce", command: ["shop", "it's"] }],
        tags: ["a"],
        is_protected: true,
      },
    },
  ]);
});

test("JSON is read, a list or one alone", () => {
  const one = { name: "v", kind: "volume", connector: "files", at: { path: "/srv" } };
  expect(readDescribed(JSON.stringify(one))).toHaveLength(1);
  expect(readDescribed(JSON.stringify([one, one]))).toHaveLength(2);
});

test.each([["a: &x b"], ["a: |\n  text"], ["a: [b"], ["a: 1\na: 2"], ["\ta: 1"], ["- a\nb: c"]])(
  "what is not understood is refused: %j",
  (text) => {
    expect(() => readYaml(text)).toThrow();
  },
);

test("what is no resource is refused", () => {
  expect(() => readDescribed("just: words")).toThrow();
});

test("what was found goes to the host where it was found", () => {
  const resource = { name: "v", kind: "volume" } as never;
  expect(wantedOf({ resource }, "agent-1")).toEqual({
    name: "v",
    spec: { kind: "volume", is_protected: true, agent: "agent-1" },
  });
});
