import AxeBuilder from "@axe-core/playwright";
import { test as base, expect, type Page, type TestFixture } from "@playwright/test";
import { Manager, machine, PASSWORD, volume } from "./manager";
import { Bucket } from "./s3";

export type { Manager };
export { expect, machine, PASSWORD, volume };

interface Labs {
  /** Just installed: nobody logged in yet. */
  fresh: Manager;
  /** Its administrator has a password, and nothing else was done. */
  manager: Manager;
  /** A second one, that knows nothing of the first. */
  otherFresh: Manager;
  /** In a server of its own, beside the manager. */
  bucket: Bucket;
  other: Manager;
}

/** As long as a story lasts. */
// biome-ignore lint/correctness/noEmptyPattern: Playwright reads from it which fixtures are needed: none
const installed: TestFixture<Manager, object> = async ({}, use) => {
  const manager = new Manager();
  await manager.start();
  await use(manager);
  await manager.end();
};

/** Each story has a manager of its own: what one does no other one sees. */
export const test = base.extend<Labs>({
  fresh: installed,
  otherFresh: installed,
  manager: async ({ fresh }, use) => {
    fresh.logIn();
    await use(fresh);
  },
  bucket: async ({ fresh }, use) => {
    const bucket = new Bucket(fresh.path("bucket"));
    try {
      await bucket.start();
      await use(bucket);
    } finally {
      await bucket.end();
    }
  },
  other: async ({ otherFresh }, use) => {
    otherFresh.logIn();
    await use(otherFresh);
  },
});

export async function logIn(
  page: Page,
  manager: Manager,
  who = { user: "admin", tenant: "", password: PASSWORD },
) {
  await page.goto(manager.url);
  await page.getByLabel("User").fill(who.user);
  await page.getByLabel("Password").fill(who.password);
  if (who.tenant) await page.getByLabel("Tenant").fill(who.tenant);
  await page.getByRole("button", { name: "Log in" }).click();
}

/** By the navigation, as it is called there. */
export const go = (page: Page, name: string) =>
  page.getByRole("navigation", { name: "Main" }).getByRole("link", { name, exact: true }).click();

/** Nothing that axe knows stands in anybody's way: WCAG 2.2, levels A and AA. */
export async function isAccessible(page: Page, what = page.url()) {
  const found = await new AxeBuilder({ page })
    // There are no frames to gather it from.
    .setLegacyMode()
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
    .analyze();
  const told = found.violations.map(
    ({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map(({ html }) => html).join("\n  ")}`,
  );
  expect(told.join("\n"), what).toBe("");
}

/** What the browser complained of: a policy that was broken, a script that failed. */
export function complaints(page: Page): string[] {
  const heard: string[] = [];
  page.on("pageerror", (error) => heard.push(String(error)));
  page.on("console", (message) => {
    const text = message.text();
    const isAnswer = text.startsWith("Failed to load resource");
    if (message.type() === "error" && !isAnswer) heard.push(text);
  });
  return heard;
}
