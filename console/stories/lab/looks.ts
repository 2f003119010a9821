import { expect, type Page } from "@playwright/test";
import { isAccessible } from "./index";

/** In CSS pixels, the widest first; 720 is what is left of 1440 at 200 % zoom. */
const SIZES = [
  [2560, 1440],
  [1440, 900],
  [720, 450],
  [390, 844],
  [360, 740],
] as const;

/** Nothing is loading any more, and the screen says what it is. */
export async function isThere(page: Page) {
  // By its name, since a dialog hides it from those who listen.
  await expect(page.locator("h1")).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: "Loading" })).toHaveCount(0);
}

/** What is on the screen fits, at any width. */
export async function fits(page: Page, what: string) {
  await isThere(page);
  for (const [width, height] of SIZES) {
    await page.setViewportSize({ width, height });
    const tooWide = () => page.evaluate(widest);
    await expect.poll(tooWide, `${what} is wider than ${width} px`).toBe("");
  }
}

/** It stands in nobody's way, by day and by night. */
export async function looksWell(page: Page, what: string) {
  await fits(page, what);
  for (const [width, colorScheme] of [
    [390, "dark"],
    [1440, "light"],
  ] as const) {
    await page.setViewportSize({ width, height: 844 });
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await expect(page.locator("html")).toHaveAttribute("data-theme", colorScheme);
    await isAccessible(page, `${what}, ${width} px, ${colorScheme}`);
  }
}

/** With the colours of the device alone, more contrast, and nothing that moves. */
export async function looksPlain(page: Page, what: string) {
  await page.emulateMedia({ forcedColors: "active", contrast: "more", reducedMotion: "reduce" });
  await isThere(page);
  await isAccessible(page, `${what}, colours of the device`);
  expect(await page.evaluate(moving), `${what} moves`).toEqual([]);
  // A shape that is painted as a ground is not there any more; drawn ones are.
  expect(await page.evaluate(unseen), `${what} has states without a shape`).toEqual([]);
  await page.emulateMedia({ forcedColors: "none", contrast: "no-preference" });
}

/** Runs in the page: what stands out of the window. */
function widest(): string {
  const { scrollWidth } = document.documentElement;
  if (scrollWidth <= window.innerWidth) return "";
  const out = [...document.querySelectorAll("main *, header *")].find(
    (each) => each.getBoundingClientRect().right > window.innerWidth + 1,
  );
  return `${scrollWidth} px: ${out?.outerHTML.slice(0, 200)}`;
}

/** Runs in the page. */
function moving(): string[] {
  const all = document.getAnimations().filter(({ playState }) => playState === "running");
  return all.map(({ effect }) => (effect as KeyframeEffect).target?.className ?? "");
}

/** Runs in the page. */
function unseen(): string[] {
  const states = [...document.querySelectorAll("main [class*='_state_']")];
  return states.filter((each) => !each.querySelector("svg")).map(({ outerHTML }) => outerHTML);
}
