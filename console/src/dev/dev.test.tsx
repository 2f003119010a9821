import { readdirSync } from "node:fs";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import { type Language, Said } from "../words";
import { de } from "../words/de";
import { en } from "../words/en";
import { PARTS } from "./states";

test("each part of the console stands on the development page", () => {
  const folders = readdirSync(new URL("../parts", import.meta.url), { withFileTypes: true })
    .filter((each) => each.isDirectory())
    .map(({ name }) => name)
    .sort();
  expect(PARTS.map(({ folder }) => folder).sort()).toEqual(folders);
});

const all = PARTS.flatMap(({ folder, states }) =>
  states.map(([name, drawn]) => ({ name: `${folder}: ${name}`, drawn })),
);

test.each(all)("$name can be drawn, in each language", ({ drawn }) => {
  for (const [language, words] of Object.entries({ en, de })) {
    const draw = () =>
      renderToStaticMarkup(
        <Said words={words} language={language as Language} choose={() => undefined}>
          {drawn}
        </Said>,
      );
    expect(draw).not.toThrow();
  }
});
