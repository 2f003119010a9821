import { complaints, expect, isAccessible, logIn, test, volume } from "./lab";
import { fits, isThere, looksWell } from "./lab/looks";

test.describe.configure({ timeout: 240_000 });

const SCREENS = [
  ["Overview", "/"],
  ["Snapshots", "/snapshots"],
  ["Restore", "/restore"],
  ["Browse", "/browse"],
  ["Schedules", "/schedules"],
  ["Resources", "/resources"],
  ["Runs", "/runs"],
  ["Storages", "/storages"],
  ["Agents", "/agents"],
  ["Connectors", "/connectors"],
  ["Tenants", "/tenants"],
  ["Users", "/users"],
  ["Tokens", "/tokens"],
  ["Audit", "/audit"],
  ["Settings", "/settings"],
] as const;

test("who may only look sees nothing to press, and each address says what it is", async ({
  page,
  manager,
}) => {
  const heard = complaints(page);
  manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  manager.run("snapshot", "create", "--full");
  const first = "the password of vera";
  const file = manager.write("vera", first);
  manager.run("user", "create", "vera", "--role", "viewer", "--password-file", file);
  await logIn(page, manager, { user: "vera", tenant: "", password: first });
  await page.getByLabel("Password until now").fill(first);
  await page.getByLabel("New password", { exact: true }).fill("one that only vera knows");
  await page.getByLabel("New password, once more").fill("one that only vera knows");
  await page.getByRole("button", { name: "Change password" }).click();
  await expect(page.getByText("can be restored.")).toBeVisible();
  const [snapshot] = manager.list("snapshot");
  const more = [
    `/snapshots/${snapshot?.id}`,
    `/browse/${snapshot?.id}?path=tenants/system/volumes/documents/letter.txt`,
    `/storages/${manager.list("storage")[0]?.id}`,
    "/snapshots?new=true",
    "/resources/new",
    "/schedules/new",
  ];
  for (const place of [...SCREENS.map(([, to]) => to), ...more]) {
    await page.goto(`${manager.url}${place}`);
    await isThere(page);
    const press = page.getByRole("button", {
      name: /^(Take|Add (?!a (field|period))|Delete|Restore)/,
    });
    await expect(press.and(page.locator(":not([aria-disabled=true])")), place).toHaveCount(0);
    await isAccessible(page, place);
  }
  await page.goto(
    `${manager.url}/browse/${snapshot?.id}?path=tenants/system/volumes/documents/letter.txt`,
  );
  await expect(
    page.getByText("You may see that it is there, but not what is in it."),
  ).toBeVisible();
  expect(heard).toEqual([]);
});

test("what is not there says so on every kind of screen", async ({ page, manager }) => {
  await logIn(page, manager);
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  const kinds = ["snapshots", "runs", "storages", "resources", "schedules", "tenants", "restore"];
  for (const kind of [...kinds, "browse"]) {
    await page.goto(`${manager.url}/${kind}/01m82wccbzq7v86jk6btsjcem6`);
    await expect(page.getByRole("alert")).toBeVisible();
    await looksWell(page, `/${kind}/…`);
  }
});

test("every screen stays readable while the manager is away", async ({ page, manager }) => {
  manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  manager.run("snapshot", "create", "--full");
  await logIn(page, manager);
  const main = page.getByRole("navigation", { name: "Main" });
  const go = async (name: string) => {
    await main.getByRole("link", { name, exact: true }).click();
    await expect(page.getByRole("heading", { level: 1, name, exact: true })).toBeVisible();
    await isThere(page);
  };
  for (const [name] of SCREENS) await go(name);
  await manager.stop();
  const lost = page.getByText("The connection to the manager is lost", { exact: true }).first();
  await expect(lost).toBeVisible();
  for (const [name] of SCREENS) {
    await go(name);
    await expect(lost).toBeVisible();
    await isAccessible(page, name);
  }
  await go("Snapshots");
  await page.getByRole("rowheader").first().getByRole("link").click();
  await isThere(page);
  await isAccessible(page, "a snapshot that was not looked at before");
  await manager.start();
  await expect(page.getByRole("heading", { level: 1, name: "Full snapshot" })).toBeVisible();
});

test("thousands of snapshots are one list", async ({ page, manager }) => {
  manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  manager.run("snapshot", "create", "--full");
  await manager.stop();
  const data = ["--data", manager.path("data")];
  manager.run("debug", "fill-catalog", "--snapshots", "3000", "--items", "1", ...data);
  await manager.start();
  await logIn(page, manager);
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  await page.goto(`${manager.url}/snapshots?tab=all`);
  await looksWell(page, "/snapshots");
  const rows = page.getByRole("table").getByRole("row");
  expect(await rows.count()).toBeLessThan(150);
  const last = async () => Number(await rows.last().getAttribute("aria-rowindex"));
  for (let wheel = 0; (await last()) < 2500 && wheel < 40; wheel++) {
    await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight));
    await page.waitForTimeout(100);
  }
  expect(await last()).toBeGreaterThan(2500);
  expect(await rows.count()).toBeLessThan(150);
  await fits(page, "/snapshots, far below");
});
