import { readFileSync, writeFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { complaints, expect, isAccessible, PASSWORD, test, volume } from "./lab";

test.use({ locale: "de-DE" });

/** What is said to stay English, beside the log and what is typed. */
const foreign = (page: Page) =>
  page.locator("main [lang=en]:not(ol[aria-label=Log] *)").allTextContents();

test("eine ganze Geschichte auf Deutsch: geschützt, nach Plan, aufgenommen, wiederhergestellt", async ({
  page,
  manager,
}) => {
  const heard = complaints(page);
  const letter = manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  await page.goto(manager.url);
  await expect(page.locator("html")).toHaveAttribute("lang", "de");
  await page.getByLabel("Benutzer").fill("admin");
  await page.getByLabel("Passwort").fill("falsch");
  await page.getByRole("button", { name: "Anmelden" }).click();
  await expect(page.getByRole("alert")).toContainText("Benutzer oder Passwort stimmt nicht.");
  await page.getByLabel("Passwort").fill(PASSWORD);
  await page.getByRole("button", { name: "Anmelden" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Übersicht" })).toBeVisible();
  await isAccessible(page);
  expect(await foreign(page)).toEqual([]);

  await page.goto(`${manager.url}/schedules/new`);
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("werktags");
  await page.getByLabel("Wie oft").selectOption("cron");
  await page.getByLabel("Cron-Ausdruck").fill("30 2 * * MON-FRI");
  await expect(page.getByText(/^Um 02:30 Uhr jeden Tag von Montag bis Freitag/)).toBeVisible();
  await page.getByRole("button", { name: "Zeitplan anlegen" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "werktags" })).toBeVisible();

  await page.goto(`${manager.url}/snapshots?new=true`);
  await page.getByRole("dialog").getByRole("button", { name: "Beginnen" }).click();
  await page.getByRole("link", { name: "Zum Snapshot" }).click();
  await expect(page.getByText("Alle 2 Ressourcen wurden erfasst.")).toBeVisible();
  await isAccessible(page);
  await page.goto(`${manager.url}/storages`);
  await page.getByRole("rowheader").getByRole("link").first().click();
  await page.getByRole("button", { name: "Jetzt prüfen" }).click();
  await expect(page.getByRole("rowheader", { name: "Erreichbar" })).toBeVisible();
  expect(await foreign(page)).toEqual([]);

  writeFileSync(letter, "verdorben");
  await page.goto(`${manager.url}/snapshots`);
  const uses = page.getByRole("table").getByRole("link", { name: "Wiederherstellen" });
  await uses.first().click();
  await page.getByRole("radio", { name: /^Ausgewählte Ressourcen/ }).check();
  await page.getByRole("checkbox", { name: /^documents/ }).check();
  await page.getByRole("button", { name: "Plan zeigen" }).click();
  await expect(page.getByRole("cell", { name: "am selben Ort" })).toBeVisible();
  await expect(page.getByText(/^Nachsehen, ob .* das Wiederhergestellte ist\.$/)).toBeVisible();
  // Made elsewhere, it is here too: the manager keeps it.
  await page.evaluate(() => sessionStorage.clear());
  await page.reload();
  await page.getByLabel(/documents/).fill("documents");
  await page.getByRole("button", { name: "Jetzt wiederherstellen" }).click();
  await expect(page.getByText("Jeder Schritt wurde getan.")).toBeVisible({ timeout: 60_000 });
  expect(readFileSync(letter, "utf8")).toBe("dear reader");
  await isAccessible(page);
  expect(heard).toEqual([]);
});
