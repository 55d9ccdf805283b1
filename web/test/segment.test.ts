/** Whole segmentations. $MEDNCA_SEGMENT names further cases: a JSON list like CASES, made by tests/viewing/test_segment.py. */

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { readNifti, stacked, writeMask } from "../src/image/nifti";
import { readModel } from "../src/network/model";
import { segment } from "../src/segment";
import { kernels } from "./kernels";

interface Case {
  readonly name: string;
  readonly model: string;
  readonly images: readonly string[];
  readonly mask: string;
  readonly score: number;
  readonly flag: string;
}

const SHIPPED = "../mednca_pipeline/inference/shipped_models/phantom.mednca";
const PHANTOM = {
  model: SHIPPED,
  images: ["public/examples/phantom.nii.gz"],
  mask: "test/fixtures/phantom_mask.nii.gz",
};
const CASES: Case[] = process.env.MEDNCA_SEGMENT
  ? JSON.parse(readFileSync(process.env.MEDNCA_SEGMENT, "utf-8"))
  : [{ name: "the phantom", ...PHANTOM, score: 0.0385, flag: "ok" }];
const bytes = (path: string) => new Uint8Array(readFileSync(path));

it.each(CASES)(
  "$name: labels, score and flag of mednca_predict",
  { timeout: 60_000 },
  async ({ model, images, mask, score, flag }) => {
    const image = stacked(await Promise.all(images.map((path) => readNifti(bytes(path)))));
    const shares: number[] = [];
    const result = await segment(
      await readModel(bytes(model)),
      { kernels: await kernels, graphics: null },
      image,
      (share) => shares.push(share),
    );
    const [found, expected] = [await readNifti(await writeMask(result.labels, image)), await readNifti(bytes(mask))];
    expect(found.array.shape).toEqual(expected.array.shape);
    const same =
      found.array.data.filter((value, at) => value === expected.array.data[at]).length / expected.array.data.length;
    expect(same).toBeGreaterThanOrEqual(0.999);
    expect(new Set(expected.array.data).size).toBeGreaterThan(1);
    expect(result.score! / score).toBeCloseTo(1, 2);
    expect(result.verdict.flag).toBe(flag);
    expect(shares).toEqual([...shares].sort((one, other) => one - other));
    expect(shares.at(-1)).toBe(1);
  },
);
