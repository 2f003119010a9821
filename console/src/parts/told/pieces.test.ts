import { expect, test } from "vitest";
import { commandsOf, piecesOf } from "./pieces";

test.each([
  ["make room", [["make room", false]]],
  [
    "set `path` in `at`",
    [
      ["set ", false],
      ["path", true],
      [" in ", false],
      ["at", true],
    ],
  ],
  [
    "`a b` first",
    [
      ["a b", true],
      [" first", false],
    ],
  ],
  ["it's a lone ` here", [["it's a lone ` here", false]]],
  ["", []],
])("%s has these pieces", (text, pieces) => {
  expect(piecesOf(text).map((piece) => [piece.text, piece.isCode])).toEqual(pieces);
});

test.each([
  ["add it first (`tintype storage add`)", ["tintype storage add"]],
  ["run `mount /srv/nas`, then `mount /srv/nas`", ["mount /srv/nas"]],
  ["name a superuser as `user`, if it fails", []],
])("%s can be typed: %o", (text, commands) => {
  expect(commandsOf(text)).toEqual(commands);
});
