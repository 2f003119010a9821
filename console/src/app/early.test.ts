import { QueryClient } from "@tanstack/react-query";
import { afterEach, expect, test, vi } from "vitest";

const ORIGIN = "https://tintype.example";

/** What is asked for, in the order of the alphabet, with each answer of its own. */
async function begun() {
  vi.stubGlobal("location", { origin: ORIGIN });
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (of: Request | string) => {
    asked.push(new URL(typeof of === "string" ? of : of.url, ORIGIN).href);
    return Response.json({ items: [] });
  });
  vi.resetModules();
  const { addressesOf, early } = await import("./early");
  const { asks } = await import("../screens/overview/asks");
  return { asked, addressesOf, early, asks };
}

afterEach(() => vi.unstubAllGlobals());

test("what the overview asks for is what was asked for before its code was there", async () => {
  const { asked, addressesOf, asks } = await begun();
  await asks(new QueryClient(), "Europe/Berlin");
  const known = addressesOf("Europe/Berlin").map((each) => `${ORIGIN}${each}`);
  expect(asked.sort()).toEqual(known.sort());
});

test("it is not asked for twice, and an answer is taken once", async () => {
  const { asked, addressesOf, early, asks } = await begun();
  early.begin("UTC");
  await asks(new QueryClient(), "UTC");
  expect(asked).toHaveLength(addressesOf("UTC").length);
  await asks(new QueryClient(), "UTC");
  expect(asked).toHaveLength(2 * addressesOf("UTC").length);
});
