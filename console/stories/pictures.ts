import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect, logIn, type Manager, test, volume } from "./lab";

const INTO = "../docs/screenshots";

for (const [name, width, height, theme] of [
  ["wide", 1440, 900, "light"],
  ["narrow", 390, 844, "dark"],
] as const) {
  test(`pictures, ${name}`, async ({ page, manager }) => {
    mkdirSync(INTO, { recursive: true });
    const snapshot = furnish(manager);
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    await logIn(page, manager);
    await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
    const take = (what: string, place: string) => picture(page, manager, place, `${what}-${name}`);
    await take("overview", "/");
    await take("snapshots", "/snapshots");
    await take("snapshot", `/snapshots/${snapshot}`);
    await take("browse", `/browse/${snapshot}`);
    await take("restore", `/restore/new?snapshot=${snapshot}`);
    await take("schedules", "/schedules");
    await take("storages", "/storages");
    await take("resources", "/resources");
    await page.goto(`${manager.url}/restore/new?snapshot=${snapshot}`);
    await page.getByRole("button", { name: "Show the plan" }).click();
    await expect(page).toHaveURL(/\/restore\/[0-9a-z]{20,}/);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.screenshot({ path: join(INTO, `plan-${name}.png`) });
  });
}

/** A small platform with something to see. */
function furnish(manager: Manager): string {
  for (const letter of ["anna", "bert", "clara"]) {
    manager.write(`documents/letters/${letter}.txt`, `dear ${letter}\n`.repeat(200));
  }
  manager.write("documents/prices.csv", "article,price\npaper,4\nink,12\n");
  manager.write("pictures/readme.txt", "pictures of the year");
  manager.apply(
    volume("documents", manager.path("documents")),
    volume("pictures", manager.path("pictures")),
    {
      name: "shop",
      kind: "application",
      version: "4.1",
      components: [{ resource: "documents" }, { resource: "pictures" }],
    },
  );
  manager.run("storage", "add", "vault", "--url", manager.path("vault"), "--default");
  const profile = manager.write(
    "nightly.json",
    JSON.stringify({
      name: "nightly",
      scope: "full",
      periods: [
        {
          name: "night",
          frequency: { daily: { time: "02:30" } },
          time_zone: "Europe/Berlin",
          retention: "1m",
        },
      ],
    }),
  );
  manager.run("profile", "apply", profile);
  manager.run("snapshot", "create", "--full");
  manager.run("snapshot", "create", "--app", "shop", "--note", "before 4.2");
  manager.write("documents/letters/dora.txt", "dear dora");
  manager.run("snapshot", "create", "--full", "--note", "the week's last");
  const [newest] = manager.run("snapshot", "list", "--json").trim().split("\n");
  return (JSON.parse(newest ?? "{}") as { id: string }).id;
}

async function picture(page: Page, manager: Manager, place: string, name: string) {
  await page.goto(`${manager.url}${place}`);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await expect(page.getByRole("status").filter({ hasText: "Loading" })).toHaveCount(0);
  await page.waitForTimeout(700);
  await page.screenshot({ path: join(INTO, `${name}.png`) });
}
