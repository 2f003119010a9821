import { defineConfig } from "@playwright/test";

/** Stories are told to the real program, by Debian's Chromium (`cargo xtask stories`). */
export default defineConfig({
  testDir: "stories",
  outputDir: "stories/.results",
  fullyParallel: false,
  // Each story has a manager of its own; two at once are what two cores carry.
  workers: 2,
  retries: 0,
  timeout: 120_000,
  expect: { timeout: 20_000 },
  reporter: [["list"]],
  use: {
    ignoreHTTPSErrors: true,
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    viewport: { width: 1440, height: 900 },
    trace: "off",
    actionTimeout: 30_000,
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.TINTYPE_CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox"],
    },
  },
});
