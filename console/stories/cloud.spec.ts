import { readFileSync } from "node:fs";
import { expect, go, isAccessible, logIn, test, volume } from "./lab";
import { KEY } from "./lab/s3";

test("a bucket is added, a full snapshot is taken into it, and a file comes back out of it", async ({
  page,
  manager,
  bucket,
}) => {
  manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  await logIn(page, manager);
  await go(page, "Storages");
  await page.getByRole("button", { name: "Add storage" }).click();
  const dialog = page.getByRole("dialog", { name: "Add storage" });
  await dialog.getByRole("radio", { name: /^S3/ }).check();
  await dialog.getByRole("textbox", { name: "Name" }).fill("cloud");
  await dialog.getByRole("textbox", { name: "Bucket" }).fill("snapshots");
  await dialog.getByRole("textbox", { name: "Server" }).fill(bucket.endpoint);
  const key = dialog.getByRole("textbox", { name: /^Access key/ }).first();
  await key.fill(KEY.id);
  await dialog.getByLabel("Secret").first().fill(KEY.secret);
  await dialog.getByRole("button", { name: "Try it out and add it" }).click();
  await expect(dialog).toHaveCount(0, { timeout: 60_000 });
  await go(page, "Storages");
  await expect(page.getByRole("row", { name: /^cloud/ })).toContainText("default");

  await page.goto(`${manager.url}/snapshots?new=true`);
  const taken = page.getByRole("dialog", { name: "Take a snapshot" });
  await taken.getByRole("button", { name: "Start" }).click();
  await page.getByRole("link", { name: "To the snapshot" }).click({ timeout: 60_000 });
  await expect(page.getByText("All 2 resources were captured.")).toBeVisible();
  await expect(page.getByText("cloud", { exact: true })).toBeVisible();
  await isAccessible(page);
  await page.getByRole("link", { name: "Restore", exact: true }).last().click();
  await page.getByRole("radio", { name: /^A file or directory/ }).check();
  const path = "tenants/system/volumes/documents/letter.txt";
  await page.getByLabel("Path in the snapshot").fill(path);
  await page.getByLabel("Directory", { exact: true }).fill(manager.path("restored"));
  await page.getByRole("button", { name: "Show the plan" }).click();
  await page.getByRole("button", { name: "Restore now" }).click();
  await expect(page.getByText("Every step was done.")).toBeVisible({ timeout: 60_000 });
  expect(readFileSync(manager.path("restored/letter.txt"), "utf8")).toBe("dear reader");
});
