import { expect, it } from "vitest";
import { readNifti } from "../src/image/nifti";
import { checkSpacing, rangeWarnings } from "../src/network/ranges";
import { file } from "./fixtures";

const image = await readNifti(file("metres.nii.gz")); // 7 x 8 x 9 voxels (z y x) of 2 x 1 x 1 mm, read from metres
const wide: [number, number] = [-1e6, 1e6];
const inside = {
  spacingMm: [
    [1, 2],
    [1, 1],
    [1, 1],
  ],
  extentMm: [
    [10, 14],
    [8, 8],
    [9, 9],
  ],
  intensity: [wide],
} as const;

it("has nothing to say of an image like those of training", () => {
  expect(rangeWarnings(image, inside, ["MRI"], true)).toEqual([]);
  expect(() => checkSpacing(image, inside)).not.toThrow();
});

it("names what lies outside", () => {
  const seen = {
    spacingMm: [
      [3, 4],
      [1, 1],
      [1, 1],
    ],
    extentMm: [
      [10, 14],
      [8, 8],
      [10, 20],
    ],
    intensity: [[1e6, 2e6]],
  } as const;
  const [spacing, extent, intensity] = rangeWarnings(image, seen, ["MRI"], true);
  expect(spacing).toBe("spacing z 2 mm outside training's 3 to 4");
  expect(extent).toBe("extent x 9 mm outside training's 10 to 20");
  expect(intensity).toMatch(/^mean intensity of MRI \d+(\.\d)? outside training's 1000000 to 2000000$/);
  expect(rangeWarnings(image, { ...seen, intensity: [wide] }, ["MRI"], false)).toEqual([
    "extent z 7 voxels outside training's 10 to 14",
    "extent x 9 voxels outside training's 10 to 20",
  ]);
});

it("refuses a spacing that cannot be meant", () => {
  expect(() =>
    checkSpacing(image, {
      ...inside,
      spacingMm: [
        [0.05, 0.1],
        [1, 1],
        [1, 1],
      ],
    }),
  ).toThrow("a spacing of 0.05 to 0.1 mm along z");
  expect(() =>
    checkSpacing(image, {
      ...inside,
      spacingMm: [
        [40, 50],
        [1, 1],
        [1, 1],
      ],
    }),
  ).toThrow("a spacing of 40 to 50 mm along z");
});
