import { mkdirSync } from "node:fs";
import { complaints, expect, go, isAccessible, logIn, PASSWORD, test, volume } from "./lab";

test("whoever installs it chooses a password and is led to the first snapshot", async ({
  page,
  fresh,
}) => {
  const heard = complaints(page);
  await logIn(page, fresh, { user: "admin", tenant: "", password: fresh.firstPassword });
  await expect(page.getByRole("heading", { name: "Choose a password" })).toBeVisible();
  await isAccessible(page);
  await page.getByLabel("Password until now").fill(fresh.firstPassword);
  await page.getByLabel("New password", { exact: true }).fill(PASSWORD);
  await page.getByLabel("New password, once more").fill("another one");
  await expect(page.getByText("The two differ.")).toBeVisible();
  await page.getByLabel("New password, once more").fill(PASSWORD);
  await page.getByRole("button", { name: "Change password" }).click();

  await expect(page.getByText("Nothing is protected yet.")).toBeVisible();
  await expect(page.getByRole("heading", { name: "Five steps to a proven restore" })).toBeVisible();
  await isAccessible(page);
  expect(heard).toEqual([]);
});

test("a wrong password is told, and nothing of the inside is shown", async ({ page, manager }) => {
  await logIn(page, manager, { user: "admin", tenant: "", password: "wrong" });
  await expect(page.getByRole("alert")).toContainText("User, tenant or password is wrong");
  await expect(page.getByRole("navigation")).toHaveCount(0);
  await isAccessible(page);
});

test("a full snapshot is taken, followed and looked at", async ({ page, manager }) => {
  const heard = complaints(page);
  manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  await logIn(page, manager);
  await page.getByRole("link", { name: "Take snapshot" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Take a snapshot" });
  await expect(dialog.getByRole("radio", { name: /^Full/ })).toBeChecked();
  await isAccessible(page);
  await dialog.getByLabel("Note").fill("the first one");
  await dialog.getByRole("button", { name: "Start" }).click();

  await expect(page).toHaveURL(/\/runs\//);
  await page.getByRole("link", { name: "To the snapshot" }).click();
  await expect(page.getByText("All 2 resources were captured.")).toBeVisible();
  await expect(page.getByRole("rowheader", { name: /^documents/ })).toBeVisible();
  await expect(page.getByText("the first one")).toBeVisible();
  await isAccessible(page);
  expect(heard).toEqual([]);
});

test("a snapshot that lacks something says what and why, and is whole once that is mended", async ({
  page,
  manager,
}) => {
  mkdirSync(manager.path("documents"));
  manager.apply(
    volume("documents", manager.path("documents")),
    volume("pictures", manager.path("pictures")),
  );
  manager.try("snapshot", "create", "--full");
  await logIn(page, manager);
  await expect(page.getByText("1 of 2 resources can be restored.")).toBeVisible();
  await go(page, "Snapshots");
  const row = page.getByRole("row", { name: /incomplete/ });
  await expect(row).toContainText("2 of 3");
  await row.getByRole("rowheader").getByRole("link").click();
  await expect(page.getByText("1 failed")).toBeVisible();
  const failed = page.getByRole("row", { name: /^pictures/ });
  await expect(failed).toContainText("failed");
  await expect(failed).toContainText("No such file or directory");
  await isAccessible(page);
  mkdirSync(manager.path("pictures"));
  await page.goto(`${manager.url}/snapshots?new=true`);
  await page.getByRole("dialog").getByRole("button", { name: "Start" }).click();
  await page.getByRole("link", { name: "To the snapshot" }).click();
  await expect(page.getByText("All 3 resources were captured.")).toBeVisible();
});

test("a lost connection is said, and nothing can be changed while it lasts", async ({
  page,
  manager,
}) => {
  await logIn(page, manager);
  await go(page, "Snapshots");
  const take = page.getByRole("button", { name: "Take snapshot" });
  await expect(take).toBeEnabled();
  await manager.stop();
  await expect(
    page.getByText("The connection to the manager is lost", { exact: true }).first(),
  ).toBeVisible();
  await expect(take).toBeDisabled();
  await isAccessible(page);
  await manager.start();
  await expect(take).toBeEnabled();
});

test("a session that ends is said, and whoever logs in again is back where he was", async ({
  page,
  manager,
}) => {
  await logIn(page, manager);
  await go(page, "Snapshots");
  await expect(page.getByRole("heading", { level: 1, name: "Snapshots" })).toBeVisible();
  await page.context().clearCookies();
  await go(page, "Storages");
  await expect(page.getByRole("alert")).toContainText("Your session has ended");
  await expect(page.getByRole("navigation")).toHaveCount(0);
  await isAccessible(page);
  await page.getByLabel("User").fill("admin");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Log in" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Storages" })).toBeVisible();
  await expect(page).toHaveURL(/\/storages$/);
});
