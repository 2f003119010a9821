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
