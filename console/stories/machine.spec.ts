import { execFileSync } from "node:child_process";
import { readFileSync, truncateSync } from "node:fs";
import { expect, go, isAccessible, logIn, machine, test } from "./lab";

test("a file comes out of a machine's disk, and nothing is restored for it", async ({
  page,
  manager,
}) => {
  manager.write("guest/etc/hostname", "web1\n");
  manager.write("guest/etc/hosts", "127.0.0.1 localhost\n192.0.2.7 web1\n");
  const disk = manager.write("web.img", "");
  truncateSync(disk, 8 * 1024 * 1024);
  execFileSync("/sbin/mkfs.ext4", ["-q", "-d", manager.path("guest"), disk]);
  manager.apply(machine("web", manager.path("web.qmp"), disk));
  manager.run("snapshot", "create", "--resource", "web");
  await logIn(page, manager);
  await go(page, "Snapshots");
  await page.getByRole("rowheader").first().getByRole("link").click();
  const row = page.getByRole("row", { name: /^web/ });
  await expect(row).toContainText("crash");
  await expect(row).toContainText("The machine is off");
  await page.getByRole("main").getByRole("link", { name: "Browse" }).click();
  const into = (step: string) =>
    page.getByRole("table").getByRole("link", { name: step, exact: true }).click();
  for (const step of ["tenants", "system", "vms", "web", "disks", "vda.img"]) await into(step);
  await page.getByRole("link", { name: "Look inside this disk" }).click();
  await expect(page.getByRole("row", { name: /^The whole disk ext4/ })).toBeVisible();
  await isAccessible(page);
  for (const step of ["The whole disk", "etc", "hosts"]) await into(step);
  await expect(page.getByText("192.0.2.7 web1")).toBeVisible();
  await isAccessible(page);
  const save = page.getByRole("link", { name: "Download" });
  const [download] = await Promise.all([page.waitForEvent("download"), save.click()]);
  await download.saveAs(manager.path("hosts"));
  expect(readFileSync(manager.path("hosts"), "utf8")).toContain("192.0.2.7 web1");
  await page.goBack();
  await expect(page.getByRole("row", { name: /^hostname/ })).toBeVisible();
});
