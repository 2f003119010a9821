import { expect, go, isAccessible, logIn, test } from "./lab";

test("a schedule is made, changed with what that would do in sight, and switched off", async ({
  page,
  manager,
}) => {
  await logIn(page, manager);
  await go(page, "Schedules");
  await expect(page.getByText("No schedule yet")).toBeVisible();
  await isAccessible(page);
  await page.getByRole("link", { name: "New schedule" }).click();
  await page.getByLabel("Name", { exact: true }).fill("nightly");
  await expect(page.getByLabel("Kept for")).toHaveValue("1m");
  await page.getByLabel("How often").selectOption({ label: "Every day" });
  await page.getByLabel("At", { exact: true }).fill("02:30");
  await expect(page.getByText("At 02:30 every day, Europe/Berlin.")).toBeVisible();
  const runs = page.getByRole("listitem").filter({ hasText: "The next runs:" });
  await expect(runs.getByRole("listitem")).toHaveCount(10);
  await page.getByRole("button", { name: "Add a period" }).click();
  const second = page.getByRole("group", { name: /^Period period-2/ });
  await second.getByLabel("Name of the period").fill("monthly");
  await page
    .getByRole("group", { name: /^Period monthly/ })
    .getByLabel("Kept for")
    .fill("1y");
  await isAccessible(page);
  await page.getByRole("button", { name: "Make schedule" }).click();

  await expect(page.getByRole("heading", { level: 1, name: "nightly" })).toBeVisible();
  await expect(page.getByText("It takes snapshots by itself.")).toBeVisible();
  await isAccessible(page);
  await page
    .getByRole("group", { name: /^Period monthly/ })
    .getByLabel("Kept for")
    .fill("6m");
  // What is switched off next is what was saved.
  const known = page.waitForResponse(
    (answer) => answer.request().method() === "GET" && /\/profiles\/\w+$/.test(answer.url()),
  );
  await page.getByRole("button", { name: "Save" }).click();
  await known;
  await page.getByRole("button", { name: "Switch off: nightly" }).click();
  await expect(page.getByText("It takes nothing now.")).toBeVisible();
  await go(page, "Schedules");
  const row = page.getByRole("row", { name: /^nightly/ });
  await expect(row).toContainText("switched off");
  await expect(row).toContainText("Kept for 6 months.");
});
