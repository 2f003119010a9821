import { readFileSync, writeFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { expect, type Manager, PASSWORD, test, volume } from "./lab";
import { Keys } from "./lab/keys";

/** The three most important stories, and no mouse. */
async function enter(page: Page, manager: Manager, password = PASSWORD): Promise<Keys> {
  const keys = new Keys(page);
  await page.goto(manager.url);
  await keys.write(page.getByLabel("User"), "admin");
  await keys.write(page.getByLabel("Password"), password);
  await keys.press("Enter");
  return keys;
}

test("the first protection, with the keyboard alone", async ({ page, fresh }) => {
  fresh.write("documents/letter.txt", "dear reader");
  const keys = await enter(page, fresh, fresh.firstPassword);
  await keys.write(page.getByLabel("Password until now"), fresh.firstPassword);
  await keys.write(page.getByLabel("New password", { exact: true }), PASSWORD);
  await keys.write(page.getByLabel("New password, once more"), PASSWORD);
  await keys.press("Enter");

  await expect(page.getByText("Nothing is protected yet.")).toBeVisible();
  await keys.to(page.getByRole("link", { name: "Skip to the content" }));
  await keys.press("Enter");
  await keys.follow(page.getByRole("link", { name: "Add resources" }));
  await keys.follow(page.getByRole("link", { name: "As text" }).first());
  const described = JSON.stringify([volume("documents", fresh.path("documents"))]);
  await keys.write(page.getByLabel("Descriptions"), described);
  await keys.follow(page.getByRole("button", { name: "Add all of these" }));
  await expect(page.getByText("Added: documents")).toBeVisible();

  await keys.find("snapsh", "Snapshots");
  await keys.follow(page.getByRole("button", { name: "Take snapshot" }));
  await keys.write(page.getByRole("dialog").getByLabel("Note"), "the first one");
  await keys.press("Enter");
  await expect(page).toHaveURL(/\/runs\//);
  await keys.follow(page.getByRole("link", { name: "To the snapshot" }));
  await expect(page.getByText("All 2 resources were captured.")).toBeVisible();
});

test("a file is found and restored beside all else, with the keyboard alone", async ({
  page,
  manager,
}) => {
  manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  manager.run("snapshot", "create", "--resource", "documents");
  const keys = await enter(page, manager);
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  await keys.find("snapsh", "Snapshots");
  const table = page.getByRole("table");
  await keys.follow(table.getByRole("link", { name: "Browse" }));
  for (const name of ["tenants", "system", "volumes", "documents", "letter.txt"]) {
    await keys.follow(table.getByRole("link", { name, exact: true }));
  }
  await expect(page.getByText("dear reader")).toBeVisible();
  await keys.follow(page.getByRole("link", { name: "Restore this" }));
  await keys.write(page.getByLabel("Directory", { exact: true }), manager.path("restored"));
  await keys.follow(page.getByRole("button", { name: "Show the plan" }));
  await keys.follow(page.getByRole("button", { name: "Restore now" }));
  await expect(page.getByText("Every step was done.")).toBeVisible({ timeout: 60_000 });
  expect(readFileSync(manager.path("restored/letter.txt"), "utf8")).toBe("dear reader");
});

test("an application is restored after its name was typed, with the keyboard alone", async ({
  page,
  manager,
}) => {
  const letter = manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")), {
    name: "shop",
    kind: "application",
    components: [{ resource: "documents" }],
  });
  manager.run("snapshot", "create", "--full");
  writeFileSync(letter, "spoiled");
  const keys = await enter(page, manager);
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  await keys.find("snapsh", "Snapshots");
  await keys.follow(page.getByRole("table").getByRole("link", { name: "Restore" }));
  await keys.to(page.getByRole("radio", { name: /^All that it holds/ }));
  await keys.press("ArrowDown");
  await keys.to(page.getByRole("checkbox", { name: /^shop/ }));
  await keys.press("Space");
  await keys.follow(page.getByRole("button", { name: "Show the plan" }));
  await keys.write(page.getByLabel("Type shop to confirm"), "shop");
  await keys.press("Enter");
  await expect(page.getByText("Every step was done.")).toBeVisible({ timeout: 60_000 });
  expect(readFileSync(letter, "utf8")).toBe("dear reader");
});

test("a dialog gives the focus back to where it came from", async ({ page, manager }) => {
  const keys = await enter(page, manager);
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  await keys.find("snapsh", "Snapshots");
  const take = page.getByRole("button", { name: "Take snapshot" });
  await keys.follow(take);
  await expect(page.getByRole("dialog")).toBeVisible();
  await keys.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(take).toBeFocused();
});
