import { expect, logIn, test } from "./lab";

test("a snapshot is taken with the keyboard alone", async ({ page, manager }) => {
  await logIn(page, manager);
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();

  await page.keyboard.press("Control+k");
  await page.keyboard.type("snapsh");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "Snapshots" })).toBeVisible();

  await page.getByRole("button", { name: "Take snapshot" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.getByRole("button", { name: "Start" }).focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/runs\//);
});

test("a dialog gives the focus back to where it came from", async ({ page, manager }) => {
  await logIn(page, manager);
  await page.getByRole("link", { name: "Snapshots" }).click();
  const take = page.getByRole("button", { name: "Take snapshot" });
  await take.focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(take).toBeFocused();
});
