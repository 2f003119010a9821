import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { compress } from "./build/compress.ts";

const server = process.env.TINTYPE_CONSOLE_SERVER ?? "https://127.0.0.1:8443";

export default defineConfig({
  plugins: [react(), compress()],
  build: {
    target: "es2023",
    manifest: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: { proxy: { "/api": { target: server, secure: false, changeOrigin: true } } },
  test: { include: ["src/**/*.test.ts", "src/**/*.test.tsx"] },
});
