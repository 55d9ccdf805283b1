/** What the tests do with the page. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { readNifti } from "../src/image/nifti";

export const EXAMPLES = [
  "../mednca_pipeline/inference/shipped_models/phantom.mednca",
  "public/examples/phantom.nii.gz",
];

/** The page, ready to be used. Whatever it throws fails the test. */
export async function opened(page: Page, url?: string): Promise<Page> {
  if (url) {
    page.on("pageerror", (error) => expect.unreachable(error.message));
    await page.goto(url);
  }
  await page.waitForSelector("body[data-ready]");
  await page.waitForLoadState("networkidle");
  return page;
}

/** Waits for a segmentation that was begun. */
export async function finished(page: Page, timeout = 60_000): Promise<void> {
  await page.waitForSelector("body:not([aria-busy])", { timeout });
  expect((await page.isVisible("#error")) ? await page.textContent("#error") : "").toBe("");
  expect(await page.isVisible("#cells")).toBe(true);
}

/** What a canvas shows. */
export function pixels(page: Page, id: string): Promise<string> {
  return page.evaluate((name) => (document.getElementById(name) as HTMLCanvasElement).toDataURL(), id);
}

/** The share of the voxels of two masks that are equal, wherever their files have them. */
export async function agreement(one: string, other: string): Promise<number> {
  const [found, expected] = await Promise.all(
    [one, other].map(async (path) => (await readNifti(new Uint8Array(readFileSync(path)))).array),
  );
  expect(found.shape).toEqual(expected.shape);
  return found.data.filter((value, at) => value === expected.data[at]).length / found.data.length;
}

/** Where a screenshot goes: into $MEDNCA_SHOTS, if that is set. */
export function shot(name: string): string | undefined {
  return process.env.MEDNCA_SHOTS && join(process.env.MEDNCA_SHOTS, name);
}

/** The mask that the page saves. */
export async function saved(page: Page): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
  expect(download.suggestedFilename()).toMatch(/\.nii\.gz$/);
  return download.path();
}
