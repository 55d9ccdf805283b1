import { describe, expect, it } from "vitest";
import { readNifti } from "../src/image/nifti";
import { keepLargest } from "../src/preprocessing/components";
import { frameOf, preprocessed, restoredLabels } from "../src/preprocessing/frame";
import { padOf, seen, unpad } from "../src/preprocessing/networkInput";
import { array, cases, expectClose, file } from "./fixtures";

describe.each(cases.preprocessing as any[])("$grid and back, $restored", (found) => {
  it("is Python's grid and label map", async () => {
    const image = await readNifti(file(found.file));
    const frame = frameOf(image.array, image.geometry.spacingMm, found.plan);
    const grid = preprocessed(image.array, frame);
    expect(grid.shape).toEqual(array(found.grid).shape);
    expectClose(grid.data, array(found.grid).data, found.plan.normalise.schemes[0] === "none" ? 1e-3 : 2e-5);
    const restored = restoredLabels(array(found.probabilities), frame, found.labels);
    expect([...restored]).toEqual([...array(found.restored).data]);
    expect(new Set(restored).size).toBe(3);
  });
});

describe.each(cases.network_input as any[])("format $format", (found) => {
  it("gives the network what Python gives it, and takes the padding off again", () => {
    const image = array(found.image);
    const pad = padOf(image.shape.slice(1), found.format);
    const made = seen(image, pad, found.format);
    expect(made.shape).toEqual(array(found.seen).shape);
    expectClose(made.data, array(found.seen).data, 1e-6);
    const unpadded = array(found.unpadded);
    const whole = { data: new Float32Array(unpadded.data.length), shape: unpadded.shape };
    unpad(made, pad, whole, 0, 1);
    expectClose(whole.data, unpadded.data, 1e-6);
  });

  it("gives some of the slices alone", () => {
    if (found.format.dim === 3) return;
    const image = array(found.image);
    const pad = padOf(image.shape.slice(1), found.format);
    const [all, some] = [seen(image, pad, found.format), seen(image, pad, found.format, 1, 3)];
    const size = all.shape[2] * all.shape[3];
    for (let channel = 0; channel < all.shape[0]; channel++) {
      const start = (channel * all.shape[1] + 1) * size;
      expect(some.data.subarray(channel * 2 * size, (channel + 1) * 2 * size)).toEqual(
        all.data.subarray(start, start + 2 * size),
      );
    }
  });
});

it.each(cases.components as any[])("keeps $kept as Python does", (found) => {
  const mask = Uint8Array.from(array(found.mask).data);
  const lost = keepLargest(mask, array(found.mask).shape, found.kept, found.labels);
  expect([...mask]).toEqual([...array(found.expected).data]);
  expect(lost.length).toBeGreaterThan(0);
});
