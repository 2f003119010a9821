import { readFileSync, writeFileSync } from "node:fs";
import { expect, go, isAccessible, logIn, type Manager, test, volume } from "./lab";

const FIRST = "the password of anna";
const OWN = "one that only anna knows";

/** A tenant with a volume, and anna who looks after it. */
function tenant(manager: Manager): string {
  const letter = manager.write("notes/letter.txt", "dear anna");
  manager.run("tenant", "create", "acme");
  const resources = { version: 1, resources: [volume("notes", manager.path("notes"))] };
  const described = manager.write("acme.json", JSON.stringify(resources));
  manager.run("resource", "apply", described, "--tenant", "acme");
  manager.run("storage", "add", "vault", "--url", manager.path("vault"), "--default", "--shared");
  const as = ["--tenant", "acme", "--role", "administrator"];
  manager.run("user", "create", "anna", ...as, "--password-file", manager.write("anna", FIRST));
  return letter;
}

test("a tenant takes and restores its own", async ({ page, manager }) => {
  const letter = tenant(manager);
  await logIn(page, manager, { user: "anna", tenant: "acme", password: FIRST });
  await page.getByLabel("Password until now").fill(FIRST);
  await page.getByLabel("New password", { exact: true }).fill(OWN);
  await page.getByLabel("New password, once more").fill(OWN);
  await page.getByRole("button", { name: "Change password" }).click();
  await go(page, "Snapshots");
  await page.getByRole("button", { name: "Take snapshot" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByRole("radio", { name: /^Full/ })).toHaveCount(0);
  await dialog.getByRole("radio", { name: /^Tenant/ }).check();
  await dialog.getByRole("button", { name: "Start" }).click();
  await page.getByRole("link", { name: "To the snapshot" }).click();
  await expect(page.getByText("The one resource was captured.")).toBeVisible();
  await isAccessible(page);
  writeFileSync(letter, "spoiled");
  await page.getByRole("link", { name: "Restore", exact: true }).last().click();
  await page.getByRole("radio", { name: /^Chosen resources/ }).check();
  await page.getByRole("checkbox", { name: /^notes/ }).check();
  await page.getByRole("button", { name: "Show the plan" }).click();
  await page.getByLabel("Type notes to confirm").fill("notes");
  await page.getByRole("button", { name: "Restore now" }).click();
  await expect(page.getByText("Every step was done.")).toBeVisible({ timeout: 60_000 });
  expect(readFileSync(letter, "utf8")).toBe("dear anna");
});

test("a tenant is restored out of the snapshot of everything", async ({ page, manager }) => {
  const letter = tenant(manager);
  manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  manager.run("snapshot", "create", "--full");
  writeFileSync(letter, "spoiled");
  await logIn(page, manager);
  await go(page, "Snapshots");
  // Its part of each full one.
  await page.getByRole("link", { name: "Tenant", exact: true }).click();
  await page.getByRole("table").getByRole("link", { name: "Restore" }).click();
  await page.getByRole("radio", { name: /^Chosen resources/ }).check();
  await page.getByRole("checkbox", { name: /^notes/ }).check();
  await expect(page.getByRole("checkbox", { name: /^documents/ })).toHaveCount(0);
  await isAccessible(page);
  await page.getByRole("button", { name: "Show the plan" }).click();
  await page.getByLabel("Type notes to confirm").fill("notes");
  await page.getByRole("button", { name: "Restore now" }).click();
  await expect(page.getByText("Every step was done.")).toBeVisible({ timeout: 60_000 });
  expect(readFileSync(letter, "utf8")).toBe("dear anna");
});

test("what a tenant has stands in the snapshot of everything, and is restored from there", async ({
  page,
  manager,
}) => {
  const letter = tenant(manager);
  manager.run("snapshot", "create", "--full");
  writeFileSync(letter, "spoiled");
  await logIn(page, manager);
  await go(page, "Snapshots");
  await page.getByRole("link", { name: "Full", exact: true }).click();
  await page.getByRole("rowheader").first().getByRole("link").click();
  const row = page.getByRole("row", { name: /^notes/ });
  await expect(row).toContainText("acme");
  await isAccessible(page);
  await row.getByRole("link", { name: /^Restore/ }).click();
  await expect(page.getByRole("checkbox", { name: /^notes/ })).toBeChecked();
  await page.getByRole("button", { name: "Show the plan" }).click();
  await page.getByLabel("Type notes to confirm").fill("notes");
  await page.getByRole("button", { name: "Restore now" }).click();
  await expect(page.getByText("Every step was done.")).toBeVisible({ timeout: 60_000 });
  expect(readFileSync(letter, "utf8")).toBe("dear anna");
});
