import { readFileSync } from "node:fs";
import { expect, go, isAccessible, logIn, test, volume } from "./lab";

const PASSPHRASE = "four words and some more";

test("a snapshot leaves as a sealed file, and another manager restores from it", async ({
  page,
  manager,
  other,
}) => {
  manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  manager.run("snapshot", "create", "--resource", "documents");
  await logIn(page, manager);
  await go(page, "Snapshots");
  await page.getByRole("rowheader").first().getByRole("link").click();
  await page
    .getByRole("button", { name: "Download" })
    .or(page.getByRole("link", { name: "Download" }))
    .first()
    .click();
  await expect(page.getByText("This is likely to be secret in it")).toBeVisible();
  await page.getByLabel("Passphrase", { exact: true }).fill(PASSPHRASE);
  await page.getByLabel("Passphrase, once more").fill(PASSPHRASE);
  await isAccessible(page);
  await page.getByRole("button", { name: "Make the file" }).click();
  const save = page.getByRole("link", { name: "Save the file" });
  await expect(save).toBeVisible();
  const [download] = await Promise.all([page.waitForEvent("download"), save.click()]);
  const file = manager.path("download.zip");
  await download.saveAs(file);
  expect(readFileSync(file).subarray(0, 2).toString()).toBe("PK");

  await logIn(page, other);
  await expect(page.getByText("Nothing is protected yet.")).toBeVisible();
  await page.goto(`${other.url}/snapshots?upload=true`);
  await page.getByLabel("File", { exact: true }).setInputFiles(file);
  await isAccessible(page);
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByLabel("Passphrase", { exact: true }).fill(PASSPHRASE);
  await page.getByRole("button", { name: "Make it a snapshot" }).click();
  await expect(page).toHaveURL(/\/runs\//);
  await page.goto(`${other.url}/snapshots?tab=uploaded`);
  const row = page.getByRole("row", { name: /uploaded/ });
  await row.getByRole("link", { name: "Restore" }).click({ timeout: 60_000 });
  await page.getByRole("radio", { name: /^A file or directory/ }).check();
  await page.getByLabel("Path in the snapshot").fill("tenants/system/volumes/documents/letter.txt");
  await page.getByLabel("Directory", { exact: true }).fill(other.path("restored"));
  await page.getByRole("button", { name: "Show the plan" }).click();
  await page.getByRole("button", { name: "Restore now" }).click();
  await expect(page.getByText("Every step was done.")).toBeVisible({ timeout: 60_000 });
  expect(readFileSync(other.path("restored/letter.txt"), "utf8")).toBe("dear reader");
});
