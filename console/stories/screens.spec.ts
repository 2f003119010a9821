import { complaints, expect, isAccessible, logIn, test, volume } from "./lab";

/** Each screen that the navigation leads to, with something on it. */
for (const [width, height, theme] of [
  [1440, 900, "light"],
  [390, 844, "dark"],
] as const) {
  test(`every screen is accessible at ${width} px, ${theme}`, async ({ page, manager }) => {
    test.setTimeout(240_000);
    const heard = complaints(page);
    manager.write("documents/letter.txt", "dear reader");
    manager.apply(
      volume("documents", manager.path("documents")),
      volume("gone", manager.path("gone")),
    );
    manager.run("storage", "add", "vault", "--url", manager.path("vault"), "--default");
    manager.run("tenant", "create", "acme");
    manager.try("snapshot", "create", "--full");
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    await logIn(page, manager);
    await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
    const links = page.getByRole("navigation", { name: "Main", includeHidden: true }).locator("a");
    const places = await links.evaluateAll((all) =>
      all.map((each) => each.getAttribute("href") ?? ""),
    );
    expect(places.length).toBeGreaterThan(10);
    for (const place of places) {
      await page.goto(`${manager.url}${place}`);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      await page.waitForLoadState("load");
      await expect(page.getByRole("status").filter({ hasText: "Loading" })).toHaveCount(0);
      await isAccessible(page);
      const overflow = await page.evaluate(
        () => document.documentElement.scrollWidth - window.innerWidth,
      );
      expect(overflow, `${place} is wider than the window`).toBeLessThanOrEqual(0);
    }
    expect(heard).toEqual([]);
  });
}
