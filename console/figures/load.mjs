/**
 * How long until a screen can be used, on a slow phone. Lighthouse's mobile profile, applied by the browser:
 * each request waits 150 ms, 1.6 Mbit/s down and 0.75 up for all together, and the processor is four times
 * slower. Connections are made without delay: the server is on the same machine.
 *
 * shown: the screen's own content is drawn (the login's fields; the overview's answer).
 * interactive: it is shown, and no task of more than 50 ms runs any more, nor begins in the next 3 s.
 * Each is the middle of five loads, from the beginning of the navigation.
 */
import { enter } from "./door.mjs";

const LOADS = 5;
const QUIET_MS = 3000;
const PHONE = { width: 390, height: 844 };
const NETWORK = {
  offline: false,
  latency: 150,
  downloadThroughput: (1.6 * 1000 * 1000) / 8,
  uploadThroughput: (0.75 * 1000 * 1000) / 8,
};
const SLOWER = 4;
const SHOWN = {
  login: "input[type=password]",
  // The first thing on the page that says something: the answer, with its shape.
  overview: "main h1 ~ *, main header ~ * p",
};

/**
 * @typedef {{ interactive_ms: number, shown_ms: number, first_paint_ms: number, blocked_ms: number,
 *   transferred_kb: number, requests: number }} Figure
 */

/**
 * @param {import("@playwright/test").Browser} browser
 * @param {import("./door.mjs").Door} door
 * @param {"login" | "overview"} name
 * @param {"empty" | "kept"} cache
 * @returns {Promise<Figure>}
 */
export async function measureLoad(browser, door, name, cache) {
  /** @type {Figure[]} */
  const all = [];
  for (let n = 0; n < LOADS; n++) {
    const context = await enter(browser, door, PHONE, name === "overview");
    try {
      if (cache === "kept") {
        const before = await context.newPage();
        await before.goto(door.address);
        await before.locator(SHOWN[name]).first().waitFor();
        await before.waitForLoadState("load");
        await before.close();
      }
      all.push(await once(await context.newPage(), door.address, SHOWN[name]));
    } finally {
      await context.close();
    }
  }
  return middleOf(all);
}

/**
 * @param {import("@playwright/test").Page} page
 * @param {string} address
 * @param {string} shown
 * @returns {Promise<Figure>}
 */
async function once(page, address, shown) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.emulateNetworkConditions", NETWORK);
  await session.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
  let bytes = 0;
  let requests = 0;
  session.on("Network.loadingFinished", ({ encodedDataLength }) => {
    bytes += encodedDataLength;
  });
  session.on("Network.requestWillBeSent", () => {
    requests++;
  });
  await page.addInitScript(watch, shown);
  await page.goto(address, { waitUntil: "commit" });
  await page.waitForFunction((quiet) => {
    const { shown: at, tasks } = /** @type {any} */ (window).watched;
    if (at === undefined) return false;
    const last = Math.max(at, ...tasks.map((/** @type {any} */ each) => each.end));
    return performance.now() - last > quiet;
  }, QUIET_MS);
  const { shown: at, tasks } = await page.evaluate(() => /** @type {any} */ (window).watched);
  const painted = await page.evaluate(
    () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0,
  );
  const blocked = tasks.reduce(
    (/** @type {number} */ sum, /** @type {any} */ { begin, end }) => sum + end - begin - 50,
    0,
  );
  return {
    interactive_ms: Math.round(Math.max(at, ...tasks.map((/** @type {any} */ each) => each.end))),
    shown_ms: Math.round(at),
    first_paint_ms: Math.round(painted),
    blocked_ms: Math.round(blocked),
    transferred_kb: Math.round(bytes / 1000),
    requests,
  };
}

/**
 * Runs in the page before anything else does.
 * @param {string} shown
 */
function watch(shown) {
  /** @type {{ shown: number | undefined, tasks: { begin: number, end: number }[] }} */
  const watched = { shown: undefined, tasks: [] };
  Object.assign(window, { watched });
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      watched.tasks.push({ begin: startTime, end: startTime + duration });
    }
  }).observe({ type: "longtask", buffered: true });
  const look = () => {
    if (document.querySelector(shown)) watched.shown = performance.now();
    else requestAnimationFrame(look);
  };
  look();
}

/**
 * Of each figure its middle.
 * @param {Figure[]} all
 * @returns {Figure}
 */
function middleOf(all) {
  const names = /** @type {(keyof Figure)[]} */ (Object.keys(all[0] ?? {}));
  const middles = names.map((name) => {
    const sorted = all.map((each) => each[name]).sort((one, other) => one - other);
    return [name, sorted[Math.floor(sorted.length / 2)]];
  });
  return Object.fromEntries(middles);
}
