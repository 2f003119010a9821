import { readFileSync, writeFileSync } from "node:fs";
import { expect, go, isAccessible, logIn, test, volume } from "./lab";

test("an application is taken before its upgrade, and brought back after its name was typed", async ({
  page,
  manager,
}) => {
  const letter = manager.write("documents/letter.txt", "dear reader");
  manager.write("pictures/readme.txt", "of the year");
  manager.apply(
    volume("documents", manager.path("documents")),
    volume("pictures", manager.path("pictures")),
    { name: "shop", kind: "application", components: [{ resource: "documents" }] },
  );
  await logIn(page, manager);
  await go(page, "Snapshots");
  await page.getByRole("link", { name: "Partial" }).click();
  await expect(page.getByText("Never enough to restore everything.").first()).toBeVisible();
  await page.getByRole("button", { name: "Take snapshot" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByRole("radio", { name: /^Full.*Recommended/ })).toBeVisible();
  await dialog.getByRole("radio", { name: /^Partial/ }).check();
  await dialog.getByRole("checkbox", { name: /^shop/ }).check();
  await dialog.getByLabel("Note").fill("before 4.2");
  await dialog.getByLabel("Keep").fill("never");
  await isAccessible(page);
  await dialog.getByRole("button", { name: "Start" }).click();
  await page.getByRole("link", { name: "To the snapshot" }).click();
  await expect(page.getByRole("rowheader", { name: /^documents/ })).toBeVisible();
  await expect(page.getByRole("rowheader", { name: /^pictures/ })).toHaveCount(0);
  await expect(page.getByText("before 4.2")).toBeVisible();
  await expect(page.getByText("for ever")).toBeVisible();

  writeFileSync(letter, "the upgrade spoiled it");
  await page.getByRole("link", { name: "Restore", exact: true }).last().click();
  const all = page.getByRole("radio", { name: /^All that it holds/ });
  await expect(all).toBeDisabled();
  await expect(page.getByText("This snapshot is partial")).toBeVisible();
  await isAccessible(page);
  await page.getByRole("checkbox", { name: /^shop/ }).check();
  await page.getByRole("button", { name: "Show the plan" }).click();
  await expect(page.getByText("tintype recover")).toHaveCount(0);
  const now = page.getByRole("button", { name: "Restore now" });
  await page.getByLabel("Type shop to confirm").fill("shops");
  await expect(now).toHaveAttribute("aria-disabled", "true");
  await page.getByLabel("Type shop to confirm").fill("shop");
  await now.click();
  await expect(page.getByText("Every step was done.")).toBeVisible({ timeout: 60_000 });
  expect(readFileSync(letter, "utf8")).toBe("dear reader");
  await isAccessible(page);
});

test("an application that is not protected is named, never left out silently", async ({
  page,
  manager,
}) => {
  manager.write("documents/letter.txt", "dear reader");
  manager.write("drafts/letter.txt", "dear …");
  manager.apply(
    volume("documents", manager.path("documents")),
    volume("drafts", manager.path("drafts")),
  );
  manager.run("resource", "protect", "drafts", "--off");
  manager.run("snapshot", "create", "--full");
  await logIn(page, manager);
  const row = page.getByRole("row", { name: /^drafts/ });
  await expect(row).toContainText("not protected");
  await go(page, "Resources");
  await expect(row).toContainText("not protected");
  await go(page, "Snapshots");
  await page.getByRole("rowheader").first().getByRole("link").click();
  await expect(row).toContainText("Not protected");
  await page.getByRole("link", { name: "Restore", exact: true }).last().click();
  await page.getByRole("radio", { name: /^Chosen resources/ }).check();
  const choice = page.getByRole("checkbox", { name: /^drafts/ });
  await expect(choice).toBeDisabled();
  await expect(choice).toHaveAccessibleName(/not protected/i);
});
