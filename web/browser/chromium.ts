/** A headless Chromium, as this project's tests start it. */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, devices } from "playwright-core";

export const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";
export const available = existsSync(EXECUTABLE);

const FLAGS = [
  "--no-sandbox", // CI runs as root
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-angle=swiftshader", // WebGL 2 without a graphics card
  "--enable-unsafe-swiftshader",
  "--enable-unsafe-webgpu", // and WebGPU
  "--use-webgpu-adapter=swiftshader",
];

/** Calls `use` with a browser of its own. phone: with the screen of one. */
export async function withBrowser(use: (context: BrowserContext) => Promise<void>, phone = false): Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), "mednca-chromium-"));
  const screen = phone ? devices["Pixel 7"] : { viewport: { width: 1280, height: 900 } };
  const { defaultBrowserType: _, ...options } = { defaultBrowserType: "chromium", ...screen };
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: EXECUTABLE,
    headless: true,
    args: FLAGS,
    ...options,
  });
  try {
    await use(context);
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}
