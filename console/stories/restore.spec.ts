import { readFileSync, writeFileSync } from "node:fs";
import { expect, go, isAccessible, logIn, test, volume } from "./lab";

test("a resource is restored over what is there, after its name was typed", async ({
  page,
  manager,
}) => {
  const letter = manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  manager.run("snapshot", "create", "--resource", "documents");
  writeFileSync(letter, "spoiled");
  await logIn(page, manager);
  await go(page, "Snapshots");
  await page.getByRole("table").getByRole("link", { name: "Restore" }).first().click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Restore");
  await isAccessible(page);
  await page.getByRole("button", { name: /^(Show|Make).*plan/i }).click();
  await expect(page).toHaveURL(/\/restore\/[0-9a-z]+$/);
  const apply = page.getByRole("button", { name: /^Restore/ });
  await isAccessible(page);
  await page.getByLabel(/^Type documents/).fill("documents");
  await apply.click();
  await expect.poll(() => readFileSync(letter, "utf8"), { timeout: 60_000 }).toBe("dear reader");
});
