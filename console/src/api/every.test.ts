import { expect, test } from "vitest";
import { every } from "./every";

test("pages are asked for until there are no more", async () => {
  const asked: (string | undefined)[] = [];
  const pages: Record<string, { items: number[]; next?: string | null }> = {
    begin: { items: [1, 2], next: "b" },
    b: { items: [3], next: "c" },
    c: { items: [], next: null },
  };
  const all = await every(async ({ cursor }: { cursor?: string }) => {
    asked.push(cursor);
    return pages[cursor ?? "begin"] ?? { items: [] };
  });
  expect(all).toEqual({ items: [1, 2, 3] });
  expect(asked).toEqual([undefined, "b", "c"]);
});

test("one that fails is not a short list", async () => {
  await expect(
    every(async ({ cursor }) => {
      if (cursor) throw new Error("gone");
      return { items: [1], next: "b" };
    }),
  ).rejects.toThrow("gone");
});
