import { expect, test } from "vitest";
import { told as de } from "./de/told";
import { told as en } from "./en/told";
import { retold } from "./retold";

test.each([
  ["full snapshot", "voller Snapshot"],
  ["snapshot of documents, shop", "Snapshot von documents, shop"],
  ["check of storage vault", "Prüfung des Speichers vault"],
  ["45.7 GiB are free", "45.7 GiB sind frei"],
  ["something that nobody translated", "something that nobody translated"],
])("%s is in German: %s", (text, words) => {
  expect(retold(de, text)).toBe(words);
});

test("in English the server has the word", () => {
  expect(retold(en, "full snapshot")).toBe("full snapshot");
});

test("only whole sentences are retold: a part of one would be neither language", () => {
  for (const [as] of de) expect(as.source).toMatch(/^\^.*\$$/s);
});
