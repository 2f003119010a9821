import { expect, test } from "vitest";
import type { Bundle, Upload } from "../../../api/types";
import { goingOf } from "./going";

const upload = (over: Partial<Upload>): Upload => ({
  id: "u",
  name: "one.zip",
  offset: 25,
  size_bytes: 100,
  is_whole: false,
  by: "admin",
  created: "2026-11-22T12:00:00Z",
  expires: "2026-11-29T12:00:00Z",
  ...over,
});

const bundle = (state: string, size_bytes?: number): Bundle =>
  ({
    id: "b",
    name: "two.zip",
    snapshot: "s",
    size_bytes,
    run: { state, progress: { bytes: 1, total_bytes: 4 } },
  }) as Bundle;

test.each([
  [upload({}), { waits: "file", share: 0.25, bytes: 25 }],
  [upload({ from: "https://example.com" }), { waits: "fetch", share: 0.25 }],
  [upload({ from: "https://example.com", name: "" }), { name: "https://example.com" }],
  [upload({ is_whole: true, offset: 100 }), { waits: "import", bytes: 100 }],
])("an upload waits for what is missing: %o", (given, told) => {
  expect(goingOf([given], [])).toMatchObject([told]);
});

test.each([
  [bundle("queued"), { waits: "make", share: 0.25 }],
  [bundle("running"), { waits: "make", share: 0.25 }],
  [bundle("succeeded", 7), { waits: "save", bytes: 7 }],
  [bundle("failed"), { waits: "look" }],
])("a download waits for its run, then for whoever saves it: %o", (given, told) => {
  expect(goingOf([], [given])).toMatchObject([{ ...told, snapshot: "s" }]);
});
