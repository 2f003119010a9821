import { expect, go, isAccessible, logIn, test, volume } from "./lab";

test("who belongs to a tenant sees nothing of others", async ({ page, manager }) => {
  manager.write("secret/plan.txt", "nobody else's");
  manager.apply(volume("secret-plans", manager.path("secret")));
  manager.run("snapshot", "create", "--full");
  manager.run("tenant", "create", "acme");
  const password = manager.write("anna", "the password of anna");
  manager.run(
    "user",
    "create",
    "anna",
    "--tenant",
    "acme",
    "--role",
    "administrator",
    "--password-file",
    password,
  );
  await logIn(page, manager, { user: "anna", tenant: "acme", password: "the password of anna" });
  await page.getByLabel("Password until now").fill("the password of anna");
  await page.getByLabel("New password", { exact: true }).fill("one that only anna knows");
  await page.getByLabel("New password, once more").fill("one that only anna knows");
  await page.getByRole("button", { name: "Change password" }).click();

  await expect(page.getByText("Nothing is protected yet.")).toBeVisible();
  await expect(page.getByRole("link", { name: "Agents" })).toHaveCount(0);
  await go(page, "Snapshots");
  await expect(page.getByText("No snapshot here yet")).toBeVisible();
  await go(page, "Runs");
  await expect(page.getByText("Nothing ran yet")).toBeVisible();
  await expect(page.getByText("secret-plans")).toHaveCount(0);
  await isAccessible(page);
});
