import { defineConfig } from "@playwright/test";
import stories from "./playwright.config.ts";

/** Makes docs/screenshots anew: `npx playwright test --config pictures.config.ts`. */
export default defineConfig(stories, { testMatch: "pictures.ts", timeout: 300_000 });
