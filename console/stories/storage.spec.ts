import { expect, go, isAccessible, logIn, test, volume } from "./lab";

test("a storage that cannot be used says why, and is added once that is mended", async ({
  page,
  manager,
}) => {
  manager.write("in-the-way", "a file where a directory is wanted");
  await logIn(page, manager);
  await go(page, "Storages");
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
  await go(page, "Storages");
  await expect(page.getByRole("row", { name: /^vault/ })).toContainText("good");
  await isAccessible(page);
});

test("another storage becomes the one that is used, and what the first holds stays", async ({
  page,
  manager,
}) => {
  manager.write("documents/letter.txt", "dear reader");
  manager.apply(volume("documents", manager.path("documents")));
  manager.run("storage", "add", "vault", "--url", manager.path("vault"), "--default");
  manager.run("snapshot", "create", "--resource", "documents");
  manager.run("storage", "add", "second", "--url", manager.path("second"));
  await logIn(page, manager);
  await go(page, "Storages");
  await page.getByRole("rowheader", { name: "second" }).getByRole("link").click();
  await page.getByRole("button", { name: "Make it the default" }).click();
  await expect(page.getByRole("button", { name: "Make it the default" })).toHaveCount(0);
  await go(page, "Snapshots");
  await page.getByRole("button", { name: "Take snapshot" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Start" }).click();
  await page.getByRole("link", { name: "To the snapshot" }).click();
  await expect(page.getByText("second", { exact: true })).toBeVisible();
  await page.goto(`${manager.url}/snapshots?tab=partial`);
  await page.getByRole("table").getByRole("link", { name: "Browse" }).click();
  await expect(page.getByRole("row", { name: /^tenants/ })).toBeVisible();
});

test("a bucket is asked for by what it needs, and says why it cannot be used", async ({
  page,
  manager,
}) => {
  await logIn(page, manager);
  await go(page, "Storages");
  await page.getByRole("button", { name: "Add storage" }).click();
  const dialog = page.getByRole("dialog", { name: "Add storage" });
  await dialog.getByRole("radio", { name: /^S3/ }).check();
  await dialog.getByRole("button", { name: "Try it out and add it" }).click();
  await expect(dialog.getByText("This must be told.").first()).toBeVisible();
  await isAccessible(page);
  await dialog.getByRole("textbox", { name: "Name" }).fill("cloud");
  await dialog.getByRole("textbox", { name: "Bucket" }).fill("snapshots");
  await dialog.getByRole("textbox", { name: "Server" }).fill("http://127.0.0.1:9");
  await dialog
    .getByRole("textbox", { name: /^Access key/ })
    .first()
    .fill("id");
  await dialog.getByLabel("Secret").first().fill("not a secret");
  await dialog.getByRole("button", { name: "Try it out and add it" }).click();
  await expect(dialog.getByRole("alert")).toContainText("See that the address is right", {
    timeout: 60_000,
  });
  await isAccessible(page);
});
