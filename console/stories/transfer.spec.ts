import { readFileSync } from "node:fs";
import { expect, isAccessible, logIn, test, volume } from "./lab";

const PASSPHRASE = "four words and some more";

test("a snapshot leaves as a sealed file and comes back as a snapshot", async ({
  page,
  manager,
}) => {
  manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  manager.run("snapshot", "create", "--resource", "documents");
  await logIn(page, manager);
  await page.getByRole("link", { name: "Snapshots" }).click();
  await page.getByRole("rowheader").first().getByRole("link").click();
  await page
    .getByRole("button", { name: "Download" })
    .or(page.getByRole("link", { name: "Download" }))
    .first()
    .click();
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

  await page.goto(`${manager.url}/snapshots?upload=true`);
  await page.getByLabel("File", { exact: true }).setInputFiles(file);
  await isAccessible(page);
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByLabel("Passphrase", { exact: true }).fill(PASSPHRASE);
  await page.getByRole("button", { name: "Make it a snapshot" }).click();
  await page.goto(`${manager.url}/snapshots?tab=uploaded`);
  await expect(page.getByRole("row", { name: /uploaded/ })).toBeVisible({ timeout: 60_000 });
});
