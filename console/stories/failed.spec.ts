import { renameSync } from "node:fs";
import { expect, go, isAccessible, logIn, type Manager, test, volume } from "./lab";

function furnish(manager: Manager) {
  manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  manager.run("storage", "add", "vault", "--url", manager.path("vault"), "--default");
  manager.run("snapshot", "create", "--full");
}

test("a snapshot that fails says what happened to what, and succeeds once that is mended", async ({
  page,
  manager,
}) => {
  furnish(manager);
  // As if somebody had pulled out the disk.
  renameSync(manager.path("vault"), manager.path("elsewhere"));
  await logIn(page, manager);
  const take = async () => {
    await go(page, "Snapshots");
    await page.getByRole("button", { name: "Take snapshot" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Start" }).click();
    await expect(page).toHaveURL(/\/runs\//);
  };
  await take();
  const main = page.getByRole("main");
  await expect(main.getByText(/^Storage vault: .*there is nothing/)).toBeVisible();
  await expect(page.getByRole("link", { name: "To the snapshot" })).toHaveCount(0);
  await isAccessible(page);

  await go(page, "Overview");
  const runs = page.getByRole("table", { name: "Last runs" });
  await expect(runs.getByRole("row").nth(1)).toContainText("failed");
  await isAccessible(page);

  renameSync(manager.path("elsewhere"), manager.path("vault"));
  await take();
  await page.getByRole("link", { name: "To the snapshot" }).click();
  await expect(page.getByText("All 2 resources were captured.")).toBeVisible();
});
