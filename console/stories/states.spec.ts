import { mkdirSync } from "node:fs";
import type { Page } from "@playwright/test";
import { complaints, expect, logIn, type Manager, test, volume } from "./lab";
import { looksPlain, looksWell } from "./lab/looks";

test.describe.configure({ timeout: 300_000 });

/** Where the navigation leads to. */
async function places(page: Page): Promise<string[]> {
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  const links = page.getByRole("navigation", { name: "Main", includeHidden: true }).locator("a");
  return links.evaluateAll((all) => all.map((each) => each.getAttribute("href") ?? ""));
}

async function visit(page: Page, manager: Manager, all: string[]) {
  for (const place of all) {
    await page.goto(`${manager.url}${place}`);
    await looksWell(page, place);
  }
}

/** What can be opened while there is nothing yet. */
const BEGINNINGS = [
  "/snapshots?new=true",
  "/snapshots?upload=true",
  "/snapshots?tab=partial",
  "/restore/new",
  "/browse/compare",
  "/schedules/new",
  "/schedules?tab=partial",
  "/resources/new",
  "/resources/new?way=form",
  "/resources/new?way=text",
  "/storages?new=true",
  "/nowhere",
];

test("every screen looks well while there is nothing yet", async ({ page, manager }) => {
  const heard = complaints(page);
  await logIn(page, manager);
  const all = await places(page);
  expect(all.length).toBeGreaterThan(10);
  await visit(page, manager, [...all, ...BEGINNINGS]);
  expect(heard).toEqual([]);
});

/** One of each: good, missing, failing, at work; and restores that were done, refused, planned. */
function furnish(manager: Manager) {
  manager.write("documents/letter.txt", "dear reader\n".repeat(40));
  manager.write("documents/a-long-name-without-any-place-to-break-it-".repeat(4), "");
  manager.write("documents/prices.csv", "article,price\npaper,4\n");
  const hook = (command: string[]) => ({
    phase: "pre-quiesce",
    where: "host",
    command,
    timeout_seconds: 600,
  });
  manager.apply(
    volume("documents", manager.path("documents")),
    volume("gone", manager.path("gone")),
    { ...volume("slow", manager.path("documents")), hooks: [hook(["sleep", "600"])] },
    { name: "shop", kind: "application", components: [{ resource: "documents" }] },
  );
  manager.run("storage", "add", "vault", "--url", manager.path("vault"), "--default");
  manager.run("tenant", "create", "acme");
  manager.run("profile", "apply", manager.write("nightly.json", JSON.stringify(NIGHTLY)));
  manager.run("snapshot", "create", "--app", "shop", "--note", "before 4.2");
  manager.run("snapshot", "create", "--app", "shop", "--keep", "never");
  manager.try("snapshot", "create", "--app", "documents", "--app", "gone");
  manager.run("restore", "latest", "--app", "documents", "--confirm", "documents");
  manager.try("restore", "latest", "--path", "/nothing", "--to", manager.path("to"));
  mkdirSync(manager.path("slow"));
  manager.run("snapshot", "create", "--app", "slow", "--detach");
}

const NIGHTLY = {
  name: "nightly",
  scope: "full",
  periods: [
    { name: "night", frequency: { daily: { time: "02:30" } }, time_zone: "Europe/Berlin" },
    { name: "work", frequency: { cron: "*/15 8-18 * * MON-FRI" }, retention: "1d" },
  ],
};

test("every screen looks well with something good, missing, failing and at work on it", async ({
  page,
  manager,
}) => {
  const heard = complaints(page);
  furnish(manager);
  await logIn(page, manager);
  const all = await places(page);
  const each = (of: string) => manager.list(of).map(({ id }) => `/${of}s/${id}`);
  const [newest, older] = manager.list("snapshot").map(({ id }) => id);
  const documents = "path=tenants/system/volumes/documents";
  await visit(page, manager, [
    ...all,
    ...["snapshot", "run", "storage", "resource", "tenant"].flatMap(each),
    ...manager.list("profile").map(({ id }) => `/schedules/${id}`),
    ...manager.list("restore").map(({ run }) => `/restore/${run?.id}`),
    `/snapshots?tab=partial`,
    `/browse/${newest}`,
    `/browse/${newest}?${documents}`,
    `/browse/${newest}?${documents}/prices.csv`,
    `/browse/${newest}/versions?${documents}/letter.txt`,
    `/browse/compare?from=${older}&to=${newest}`,
    `/restore/new?snapshot=${newest}`,
    `/restore/new?snapshot=${newest}&what=files`,
    `/resources/new?way=form`,
  ]);
  for (const place of ["/", "/snapshots", `/snapshots/${newest}`, "/runs", "/storages"]) {
    await page.goto(`${manager.url}${place}`);
    await looksPlain(page, place);
  }
  expect(heard).toEqual([]);
});
