/**
 * Scrolling through all snapshots that there are, from the newest to the oldest, at 1440 × 900, without any
 * throttling. The window is scrolled by a screen and a half with each frame: nobody reads so fast.
 *
 * loading: pages are asked for as their rows come near. loaded: the same way back, with all rows there.
 * A frame's time is that between two calls of requestAnimationFrame; 16.7 ms is what the browser gives.
 */
import { enter } from "./door.mjs";

const WIDE = { width: 1440, height: 900 };
const STEP_PX = 1350;
const PATIENCE_MS = 15 * 60_000;

/**
 * @typedef {{ frames: number, p50_ms: number, p95_ms: number, longest_ms: number, over_50_ms: number,
 *   most_nodes: number, seconds: number }} Pass
 */

/**
 * @param {import("@playwright/test").Browser} browser
 * @param {import("./door.mjs").Door} door
 * @param {number} most rows to scroll through
 * @returns {Promise<{ rows: number, loading: Pass, loaded: Pass }>}
 */
export async function measureScroll(browser, door, most) {
  const context = await enter(browser, door, WIDE, true);
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${door.address}/snapshots`);
    await page.locator("table tbody tr").nth(5).waitFor();
    const loading = passOf(await page.evaluate(scroll, [STEP_PX, most]));
    const loaded = passOf(await page.evaluate(scroll, [-STEP_PX, most]));
    const rows = await page.evaluate(
      () => Number(document.querySelector("table")?.getAttribute("aria-rowcount")) - 1,
    );
    return { rows, loading, loaded };
  } finally {
    await context.close();
  }
}

/**
 * Runs in the page: scrolls to the end, or back, and waits there for whether more comes.
 * @param {number[]} how a step in pixels, and so many rows at most
 * @returns {Promise<{ times: number[], nodes: number }>}
 */
function scroll([step = 0, most = 0]) {
  const STILL_MS = 3000;
  const isFar = () =>
    step > 0 &&
    [...document.querySelectorAll("tr[aria-rowindex]")].some(
      (row) => Number(row.getAttribute("aria-rowindex")) > most,
    );
  return new Promise((done) => {
    /** @type {number[]} */
    const times = [];
    let nodes = 0;
    let before = performance.now();
    let moved = before;
    let place = -1;
    const frame = (/** @type {number} */ now) => {
      times.push(now - before);
      before = now;
      if (times.length % 20 === 0) nodes = Math.max(nodes, document.querySelectorAll("*").length);
      if (window.scrollY !== place) moved = now;
      place = window.scrollY;
      if (now - moved > STILL_MS || isFar()) {
        done({ times: times.slice(1), nodes });
        return;
      }
      window.scrollBy(0, step);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
}

/**
 * @param {{ times: number[], nodes: number }} told
 * @returns {Pass}
 */
function passOf({ times, nodes }) {
  const sorted = [...times].sort((one, other) => one - other);
  const at = (/** @type {number} */ share) =>
    Math.round((sorted[Math.floor((sorted.length - 1) * share)] ?? 0) * 10) / 10;
  return {
    frames: times.length,
    p50_ms: at(0.5),
    p95_ms: at(0.95),
    longest_ms: at(1),
    over_50_ms: times.filter((time) => time > 50).length,
    most_nodes: nodes,
    seconds: Math.round(times.reduce((sum, time) => sum + time, 0) / 1000),
  };
}
