import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { expect, go, isAccessible, logIn, type Manager, test, volume } from "./lab";

/** What the console tells to type; and the letter whose return shows that it was right. */
async function told(page: Page, manager: Manager) {
  const letter = manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  manager.run("storage", "add", "vault", "--url", manager.path("vault"), "--default");
  manager.run("snapshot", "create", "--full");
  await logIn(page, manager);
  await go(page, "Snapshots");
  await page.getByRole("table").getByRole("link", { name: "Restore" }).first().click();
  await expect(page.getByRole("radio", { name: /^All that it holds/ })).toBeChecked();
  await page.getByRole("button", { name: "Show the plan" }).click();
  const command = (name: string) => page.getByRole("region", { name, exact: true }).innerText();
  const here = await command("On the manager's host");
  const elsewhere = await command("On an empty machine, when the manager's host is lost");
  await isAccessible(page);
  return { letter, here, elsewhere };
}

/** What it asks for, so that it need not ask. */
const agreed = (command: string) =>
  `${command} --confirm ${/--snapshot (\w{8})/.exec(command)?.[1]}`;

test("everything comes back by the command that is shown, and one logs in again", async ({
  page,
  manager,
}) => {
  const { letter, here } = await told(page, manager);
  expect(here).toMatch(/^tintype recover --from '.*' --snapshot \w+ --in-place$/);
  await expect(page.getByText("You will have to log in again afterwards")).toBeVisible();
  manager.run("tenant", "create", "made-by-mistake");
  writeFileSync(letter, "spoiled");
  manager.type(agreed(here));
  await expect(page.getByRole("button", { name: "Log in" })).toBeVisible();
  await expect.poll(() => readFileSync(letter, "utf8"), { timeout: 60_000 }).toBe("dear reader");
  await logIn(page, manager);
  await go(page, "Tenants");
  await expect(page.getByRole("rowheader", { name: "system" })).toBeVisible();
  await expect(page.getByText("made-by-mistake")).toHaveCount(0);
});

test("a manager that was lost comes back on an empty machine, and all the rest after it", async ({
  page,
  manager,
}) => {
  const { letter, elsewhere } = await told(page, manager);
  const data = manager.path("data");
  const sheet = manager.run("manager", "recovery-sheet", "--data", data);
  const words = /^Storage vault\n.*\n +words: (.*)$/m.exec(sheet)?.[1] ?? "";
  await manager.stop();
  rmSync(data, { recursive: true });
  rmSync(letter);
  manager.type(`${elsewhere} --words-file ${manager.write("words", words)}`);
  await manager.start();
  await page.reload();
  await expect(page.getByRole("button", { name: "Log in" })).toBeVisible();
  await logIn(page, manager);
  await go(page, "Snapshots");
  await page.getByRole("table").getByRole("link", { name: "Restore" }).first().click();
  await page.getByRole("radio", { name: /^Chosen resources/ }).check();
  await page.getByRole("checkbox", { name: /^documents/ }).check();
  await page.getByRole("button", { name: "Show the plan" }).click();
  await page.getByLabel(/^Type .* to confirm/).fill("documents");
  await page.getByRole("button", { name: "Restore now" }).click();
  await expect(page.getByText("Every step was done.")).toBeVisible({ timeout: 60_000 });
  expect(readFileSync(letter, "utf8")).toBe("dear reader");
  await isAccessible(page);
});
