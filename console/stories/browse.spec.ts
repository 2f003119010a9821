import { readdirSync } from "node:fs";
import { expect, go, isAccessible, logIn, test, volume } from "./lab";

test("what is in a snapshot is looked at, its versions compared", async ({ page, manager }) => {
  manager.write("documents/letter.txt", "dear reader\nyours\n");
  manager.write("documents/prices.csv", "article,price\npaper,4\n");
  manager.apply(volume("documents", manager.path("documents")));
  manager.run("snapshot", "create", "--resource", "documents");
  manager.write("documents/letter.txt", "dear reader\nmine\n");
  manager.run("snapshot", "create", "--resource", "documents");
  await logIn(page, manager);
  await go(page, "Snapshots");
  await page.getByRole("table").getByRole("link", { name: "Browse" }).first().click();
  for (const step of ["tenants", "system", "volumes", "documents"]) {
    await page.getByRole("table").getByRole("link", { name: step, exact: true }).click();
  }
  await expect(page.getByRole("row", { name: /^letter.txt/ })).toBeVisible();
  await isAccessible(page);
  await page.getByRole("table").getByRole("link", { name: "prices.csv" }).click();
  await expect(page.getByRole("cell", { name: "paper" })).toBeVisible();
  await isAccessible(page);
  await page.goBack();
  await page.getByRole("table").getByRole("link", { name: "letter.txt" }).click();
  await expect(page.getByText("mine")).toBeVisible();
  await page.getByRole("link", { name: "Versions" }).click();
  await expect(
    page.getByRole("heading", { level: 1, name: "Versions of letter.txt" }),
  ).toBeVisible();
  await expect(page.getByRole("table").getByRole("row")).toHaveCount(3);
  await isAccessible(page);
});

test("chosen files are restored at once, each by its name", async ({ page, manager }) => {
  manager.write("documents/letter.txt", "dear reader");
  manager.write("documents/prices.csv", "article,price");
  manager.write("documents/other.txt", "not asked for");
  manager.apply(volume("documents", manager.path("documents")));
  manager.run("snapshot", "create", "--resource", "documents", "--note", "before 4.2");
  await logIn(page, manager);
  await go(page, "Snapshots");
  const find = page.getByRole("searchbox", { name: "Find" });
  await find.fill("one that nobody took");
  await expect(page.getByText("Nothing fits to the filter.")).toBeVisible();
  await find.fill("before 4");
  const rows = page.getByRole("table").getByRole("row");
  await expect(rows).toHaveCount(2);
  await expect(rows.last()).toContainText("system · internal");
  await isAccessible(page);
  await page.getByRole("table").getByRole("link", { name: "Browse" }).click();
  for (const step of ["tenants", "system", "volumes", "documents"]) {
    await page.getByRole("table").getByRole("link", { name: step, exact: true }).click();
  }
  await page.getByRole("checkbox", { name: "letter.txt" }).check();
  await page.getByRole("checkbox", { name: "prices.csv" }).check();
  await page.getByRole("link", { name: "Restore these" }).click();
  await expect(page.getByText("2 files, each by its name")).toBeVisible();
  await page.getByLabel("Directory", { exact: true }).fill(manager.path("restored"));
  await isAccessible(page);
  await page.getByRole("button", { name: "Show the plan" }).click();
  await page.getByRole("button", { name: "Restore now" }).click();
  await expect(page.getByText("Every step was done.")).toBeVisible({ timeout: 60_000 });
  expect(readdirSync(manager.path("restored")).sort()).toEqual(["letter.txt", "prices.csv"]);
});
