/**
 * Figures of the console, by Debian's Chromium: `npm run figures`, of a manager of its own with 100,000
 * snapshots, or `npm run figures -- https://localhost:8443` of one that is there. One line for each on the
 * standard error, all of them as one JSON object on the standard output.
 *
 *   TINTYPE_PROGRAM                   of its own manager (../target/release/tintype)
 *   TINTYPE_USER, TINTYPE_PASSWORD    who logs in (admin) where it is there
 *   TINTYPE_CHROMIUM                  /usr/bin/chromium
 *   TINTYPE_FIGURES                   only some: login,overview,scroll
 *   TINTYPE_FIGURES_ROWS              so many snapshots, at most (100000)
 */
import { chromium } from "@playwright/test";
import { measureLoad } from "./load.mjs";
import { startOwn } from "./own.mjs";
import { measureScroll } from "./scroll.mjs";
import { keyOf } from "./trust.mjs";

const [address] = process.argv.slice(2);
const {
  TINTYPE_USER: user = "admin",
  TINTYPE_PASSWORD: password,
  TINTYPE_PROGRAM: program = "../target/release/tintype",
  TINTYPE_FIGURES_ROWS: most = "100000",
} = process.env;
if (address && !password) {
  process.stderr.write("npm run figures -- ADDRESS, with TINTYPE_PASSWORD of an administrator\n");
  process.exit(2);
}
const own = address ? undefined : await startOwn(program, Number(most));
const door = own?.door ?? { address: address ?? "", user, password: password ?? "" };
const wanted = (process.env.TINTYPE_FIGURES ?? "login,overview,scroll").split(",");
const browser = await chromium.launch({
  executablePath: process.env.TINTYPE_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", `--ignore-certificate-errors-spki-list=${await keyOf(door.address)}`],
});
/** @type {Record<string, unknown>} */
const figures = { browser: browser.version(), date: new Date().toISOString() };
try {
  for (const name of /** @type {const} */ (["login", "overview"])) {
    if (!wanted.includes(name)) continue;
    for (const cache of /** @type {const} */ (["empty", "kept"])) {
      const figure = await measureLoad(browser, door, name, cache);
      figures[`${name}_${cache}_cache`] = figure;
      const { interactive_ms, shown_ms, transferred_kb, requests } = figure;
      tell(
        `${name}, ${cache} cache: interactive after ${interactive_ms} ms, shown after ${shown_ms} ms, ` +
          `${transferred_kb} KB in ${requests} requests`,
      );
    }
  }
  if (wanted.includes("scroll")) {
    const figure = await measureScroll(browser, door, Number(most));
    figures.scroll = figure;
    for (const [name, pass] of /** @type {const} */ ([
      ["while they are loaded", figure.loading],
      ["when all are there", figure.loaded],
    ])) {
      tell(
        `scrolling ${figure.rows} snapshots ${name}: frames median ${pass.p50_ms} ms, ` +
          `p95 ${pass.p95_ms} ms, longest ${pass.longest_ms} ms, over 50 ms ${pass.over_50_ms} of ${pass.frames}; ` +
          `${pass.most_nodes} nodes at most`,
      );
    }
  }
} finally {
  await browser.close();
  await own?.end();
}
process.stdout.write(`${JSON.stringify(figures)}\n`);

/** @param {string} line */
function tell(line) {
  process.stderr.write(`${line}\n`);
}
