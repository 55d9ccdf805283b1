/** The page as mednca_view serves it: $MEDNCA_VIEW is its address, and $MEDNCA_VIEW_CASES its cases in order. */

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { available, withBrowser } from "./chromium";

const { MEDNCA_VIEW: url, MEDNCA_VIEW_CASES: cases, MEDNCA_SHOTS: shots } = process.env;

describe.runIf(available && url)("mednca_view", () => {
  it("lists flagged cases first and shows image, prediction and reference", { timeout: 120_000 }, () =>
    withBrowser(async (context) => {
      const page = await context.newPage();
      const faults: string[] = [];
      page.on("pageerror", (error) => faults.push(error.message));
      page.on("response", (answer) => answer.status() >= 400 && faults.push(`${answer.status()} ${answer.url()}`));
      await page.goto(url!);
      await page.waitForSelector("#result:not([hidden])");
      expect(await page.locator("#cases button").allTextContents()).toEqual(cases!.split(" "));
      expect(await page.textContent("#flag")).toBe("review");
      await page.screenshot({ path: shots && join(shots, "review.png") });
      const prediction = await page.locator("#planes").screenshot();
      await page.selectOption("#shown select", "difference");
      await page.waitForSelector("body:not([aria-busy])");
      await page.waitForTimeout(500);
      expect((await page.locator("#planes").screenshot()).equals(prediction)).toBe(false);
      await page.click("#cases li:nth-child(2) button");
      await page.waitForFunction(() => document.getElementById("flag")!.textContent === "ok");
      await page.selectOption("#models select", { index: 1 });
      await page.waitForFunction(() => document.getElementById("model")!.textContent !== "none yet");
      expect(faults).toEqual([]);
    }),
  );
});
