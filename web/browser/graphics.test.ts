/** Every cell with WebGPU. $MEDNCA_WEBGPU=1 runs it: without a graphics card its shaders take minutes to compile. */

import { describe, expect, it } from "vitest";
import { available, withBrowser } from "./chromium";
import { served } from "./serving";
import { agreement, EXAMPLES, finished, opened, saved } from "./using";

const asked = process.env.MEDNCA_WEBGPU === "1";
if (!asked) console.warn("WebGPU is not tested: set MEDNCA_WEBGPU=1 (minutes without a graphics card)");

describe.runIf(available && asked)("the graphics card", () => {
  it("gives the labels of mednca_predict --everywhere", { timeout: 600_000 }, () =>
    served((url) =>
      withBrowser(async (context) => {
        const page = await opened(await context.newPage(), url);
        await page.setInputFiles("#files", EXAMPLES[0]);
        await page.check("#graphics");
        await page.setInputFiles("#files", "test/fixtures/two_slices.nii.gz");
        await finished(page, 580_000);
        const same = await agreement(await saved(page), "test/fixtures/two_slices_mask.nii.gz");
        console.log(`WebGPU: ${(100 * same).toFixed(3)} % of the voxels agree; ${await page.textContent("#status")}`);
        expect(same).toBeGreaterThanOrEqual(0.999);
      }),
    ),
  );
});
