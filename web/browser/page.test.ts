/** The built page in a real browser. */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { available, EXECUTABLE, withBrowser } from "./chromium";
import { served } from "./serving";
import { agreement, EXAMPLES, finished, opened, pixels, saved, shot } from "./using";

const SLOW = { timeout: 120_000 };

/** What a test outside of this folder asks for: files to drop, and the mask that mednca_predict made of them. */
interface Case {
  readonly name: string;
  readonly files: readonly string[];
  readonly dicom?: readonly string[];
  readonly mask: string;
}
const CASES: Case[] = [
  { name: "phantom", files: EXAMPLES, mask: "test/fixtures/phantom_mask.nii.gz" },
  ...(process.env.MEDNCA_CASES ? JSON.parse(readFileSync(process.env.MEDNCA_CASES, "utf-8")) : []),
];

if (!available)
  console.warn(`Tests in a browser are skipped: there is no ${EXECUTABLE}. Debian: apt-get install chromium`);

describe.runIf(available)("the page", () => {
  it("says what is wrong with a file, segments the phantom, and lets the cells be watched", SLOW, () =>
    served((url) =>
      withBrowser(async (context) => {
        const page = await opened(await context.newPage(), url);
        const refused = async (name: string, content: string | Buffer, message: string) => {
          await page.setInputFiles("#files", { name, mimeType: "", buffer: Buffer.from(content as string) });
          await page.waitForFunction(
            (text) => document.getElementById("error")!.textContent!.includes(text),
            `${name}: expected ${message}`,
          );
        };
        await refused("broken.mednca", readFileSync(EXAMPLES[0]).subarray(0, 5000), "a model bundle (.mednca)");
        await refused("broken.nii", "no image", "a NIfTI file");
        await refused("notes.txt", "a text", "NIfTI, .mednca or a DICOM series");
        await page.click("#try");
        await finished(page);
        expect(await page.isHidden("#error")).toBe(true);
        expect(await page.textContent("#flag")).toBe("ok");
        expect(await page.textContent("#status")).toMatch(/^Segmented in \d+\.\d\d s on this machine$/);
        expect(await page.locator("#found tr").allTextContents()).toEqual([
          expect.stringMatching(/^anterior1\.90 ml1698$/),
          expect.stringMatching(/^posterior1\.26 ml1124$/),
        ]);
        await page.screenshot({ path: shot("page.png"), fullPage: true });
        const [last, computing] = [await pixels(page, "belief"), await pixels(page, "computing")];
        expect(await page.textContent("#caption")).toMatch(/^Level 3 of 3, .*step 4 of 4; \d+ % of the cells compute$/);
        await page.fill("#step", "0");
        expect(await page.textContent("#caption")).toMatch(
          /^Level 1 of 3, .*step 1 of \d+; 100 % of the cells compute$/,
        );
        expect(await pixels(page, "belief")).not.toBe(last);
        expect(await pixels(page, "computing")).not.toBe(computing);
        await page.click("#play");
        await page.waitForFunction(() => document.getElementById("play")!.textContent === "Play", undefined, {
          timeout: 30_000,
        });
        expect(await pixels(page, "belief")).toBe(last);
      }),
    ),
  );

  it("gives the labels of mednca_predict, without a connection", { timeout: 120_000 + 60_000 * CASES.length }, () =>
    served((url) =>
      withBrowser(async (context) => {
        const connections: string[] = [];
        context.on("request", (request) => connections.push(request.url()));
        const page = await opened(await context.newPage(), url);
        page.on("websocket", (socket) => connections.push(socket.url()));
        await page.evaluate(() => navigator.serviceWorker.ready);
        expect(connections.filter((address) => address.endsWith(".onnx")).length).toBe(6); // both workers are watched too
        for (const { name, files, dicom, mask } of CASES) {
          const before = connections.length;
          if (dicom) await page.setInputFiles("#dicom", dicom as string[]);
          await page.setInputFiles("#files", files as string[]);
          await finished(page);
          const during = connections.slice(before).filter((address) => !address.startsWith("blob:"));
          const converter = (address: string) =>
            address.startsWith(url) && /dcm2niix|jpeg|browser-external/.test(address);
          expect(during.filter((address) => !(dicom && converter(address)))).toEqual([]);
          const same = await agreement(await saved(page), mask);
          console.log(
            `${name}: ${(100 * same).toFixed(3)} % of the voxels agree; ${await page.textContent("#status")}`,
          );
          expect(same, name).toBeGreaterThanOrEqual(0.999);
        }
        expect(connections.filter((address) => !address.startsWith(url) && !/^(blob|data):/.test(address))).toEqual([]);
      }),
    ),
  );

  it("fits the screen of a phone, and works without a network after the first visit", SLOW, () =>
    served((url, stop) =>
      withBrowser(async (context) => {
        const page = await opened(await context.newPage(), url);
        await page.evaluate(() => navigator.serviceWorker.ready);
        await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
        await stop();
        await page.reload();
        await opened(page);
        await page.click("#try");
        await finished(page);
        expect(await page.textContent("#flag")).toBe("ok");
        const { wide, screen } = await page.evaluate(() => ({
          wide: document.documentElement.scrollWidth,
          screen: window.innerWidth,
        }));
        expect(wide).toBeLessThanOrEqual(screen);
        await page.screenshot({ path: shot("phone.png"), fullPage: true });
      }, true),
    ),
  );
});
