import { expect, test } from "vitest";
import { placeFor, SPEAKS, told } from "./speaks";

test("each kind of server is asked for where it is", () => {
  for (const speaks of SPEAKS) expect(placeFor(speaks).length).toBeGreaterThan(0);
  expect(placeFor("something else")).toEqual([]);
});

test("a field without a value is not sent", () => {
  expect(told([...placeFor("redis"), { key: "tls", value: "true" }])).toEqual([
    { key: "tls", value: "true" },
  ]);
});
