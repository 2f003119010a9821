import { expect, test, vi } from "vitest";
import { Problem } from "../../../api/problem";
import type { Upload } from "../../../api/types";
import { isSame, PIECE, send, shareOf } from "./send";

const at = (offset: number, size_bytes = 2.5 * PIECE): Upload =>
  ({ id: "u", name: "a.zip", offset, size_bytes, is_whole: offset >= size_bytes }) as Upload;
const file = { size: 2.5 * PIECE, slice: (from: number, to: number) => ({ from, to }) };
const blob = file as unknown as Blob;

function ways(put: (offset: number) => Promise<Upload>, there = 0) {
  return {
    put: vi.fn(put),
    look: vi.fn(async () => at(there)),
    heard: vi.fn(),
    wait: async () => undefined,
    signal: new AbortController().signal,
  };
}

const next = async (offset: number) => at(Math.min(offset + PIECE, file.size));

test("a file is sent in pieces, from where it was left", async () => {
  const all = ways(next);
  expect((await send(blob, at(0), all)).is_whole).toBe(true);
  expect(all.put.mock.calls.map(([offset]) => offset / PIECE)).toEqual([0, 1, 2]);
  const rest = ways(next);
  await send(blob, at(2 * PIECE), rest);
  expect(rest.put.mock.calls.map(([offset]) => offset / PIECE)).toEqual([2]);
});

test("after a lost connection the server says what is there", async () => {
  let isLost = true;
  const some = ways(async (offset) => {
    if (offset === PIECE && isLost) {
      isLost = false;
      throw new Problem("offline", 0, "lost");
    }
    return next(offset);
  }, 2 * PIECE);
  await send(blob, at(0), some);
  expect(some.put.mock.calls.map(([offset]) => offset / PIECE)).toEqual([0, 1, 2]);
});

test("what does not pass by itself ends it at once, what lasts after some tries", async () => {
  const refused = ways(async () => {
    throw new Problem("not-allowed", 403, "no");
  });
  await expect(send(blob, at(0), refused)).rejects.toThrow("no");
  expect(refused.put).toHaveBeenCalledTimes(1);
  const lost = ways(async () => {
    throw new Problem("offline", 0, "lost");
  });
  await expect(send(blob, at(0), lost)).rejects.toThrow("lost");
  expect(lost.put).toHaveBeenCalledTimes(5);
});

test("a file is known by its name and size", () => {
  expect(isSame({ name: "a.zip", size: 2.5 * PIECE }, at(0))).toBe(true);
  expect(isSame({ name: "b.zip", size: 2.5 * PIECE }, at(0))).toBe(false);
  expect(isSame({ name: "a.zip", size: 1 }, at(0))).toBe(false);
  expect(shareOf(at(PIECE, 2 * PIECE))).toBe(0.5);
  expect(shareOf({ ...at(0), size_bytes: null })).toBeUndefined();
});
