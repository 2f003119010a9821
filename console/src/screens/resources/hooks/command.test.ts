import { expect, test } from "vitest";
import { argumentsOf, lineOf } from "./command";

test.each<[string[]]>([
  [["shop", "pause"]],
  [["echo", "two words", ""]],
  [["echo", 'a "quoted" one', "it's"]],
  [["/bin/sh", "-c", "a && b > 'c'"]],
  [["a\\ b", "c:\\d"]],
])("%o is read as it was written", (command) => {
  expect(argumentsOf(lineOf(command))).toEqual(command);
});

test("nothing is no command", () => {
  expect(argumentsOf("  ")).toEqual([]);
});
