import { expect, isAccessible, logIn, test } from "./lab";

test("a storage that cannot be used says why, and is added once that is mended", async ({
  page,
  manager,
}) => {
  manager.write("in-the-way", "a file where a directory is wanted");
  await logIn(page, manager);
  await page.getByRole("link", { name: "Storages" }).click();
  await page.getByRole("button", { name: "Add storage" }).click();
  const dialog = page.getByRole("dialog", { name: "Add storage" });
  await dialog.getByRole("radio", { name: /^Directory/ }).check();
  await dialog.getByRole("textbox", { name: "Name" }).fill("vault");
  await dialog.getByRole("textbox", { name: "Path" }).fill(manager.path("in-the-way"));
  await dialog.getByRole("button", { name: "Try it out and add it" }).click();
  await expect(dialog.getByRole("alert")).toContainText("in-the-way");
  await isAccessible(page);
  await dialog.getByRole("textbox", { name: "Path" }).fill(manager.path("vault"));
  await dialog.getByRole("button", { name: "Try it out and add it" }).click();
  await expect(dialog).toHaveCount(0);
  await page
    .getByRole("navigation", { name: "Main" })
    .getByRole("link", { name: "Storages" })
    .click();
  await expect(page.getByRole("row", { name: /^vault/ })).toContainText("good");
  await isAccessible(page);
});
