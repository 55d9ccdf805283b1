/** An input that differs from what training saw: as inference/ranges.py. */

import { InputError } from "../errors";
import { product } from "../image/array";
import { shapeOf } from "../image/geometry";
import type { Image } from "../image/nifti";
import { cropped, nonzeroCrop } from "../preprocessing/crop";

type Range = readonly [number, number];

/** (low, high) of the training cases: spacing and shape * spacing per axis, and mean intensity per channel. */
export interface TrainingRange {
  readonly spacingMm: readonly Range[];
  readonly extentMm: readonly Range[];
  readonly intensity: readonly Range[];
}

const TOLERANCE = 1e-3; // relative; headers store spacings as float32
const TIMES = 20; // a spacing that is so many times off is taken for a wrong unit or header

/** Throws InputError for a spacing at least 20 times below or above all that training saw. */
export function checkSpacing({ geometry }: Image, { spacingMm }: TrainingRange): void {
  const least = TIMES * (1 - 1e-6);
  const names = "zyx".slice(-spacingMm.length);
  geometry.spacingMm.forEach((value, axis) => {
    const [low, high] = spacingMm[axis];
    if (value < least * high && value * least > low) return;
    const expected = `a spacing of ${low} to ${high} mm along ${names[axis]}, as in training (less than ${TIMES} times off)`;
    throw new InputError("", expected, `${value} mm`, "Correct the spacing in the header (NIfTI: pixdim and srow).");
  });
}

/** Sentences on spacing, extent and intensity outside of training's; [] when all is inside. */
export function rangeWarnings(
  { array, geometry }: Image,
  seen: TrainingRange,
  channels: readonly string[],
  spacingKnown: boolean,
): string[] {
  const names = "zyx".slice(-seen.extentMm.length);
  const shape = shapeOf(geometry);
  const scale = spacingKnown ? geometry.spacingMm : shape.map(() => 1);
  const unit = spacingKnown ? " mm" : " voxels";
  const image = cropped(array, nonzeroCrop(array));
  const size = product(image.shape.slice(1));
  const checks: [string, number, Range, string][] = [
    ...(spacingKnown
      ? scale.map((step, axis): [string, number, Range, string] => [
          `spacing ${names[axis]}`,
          step,
          seen.spacingMm[axis],
          " mm",
        ])
      : []),
    ...shape.map((side, axis): [string, number, Range, string] => [
      `extent ${names[axis]}`,
      side * scale[axis],
      seen.extentMm[axis],
      unit,
    ]),
    ...channels.map((name, channel): [string, number, Range, string] => {
      const values = image.data.subarray(channel * size, (channel + 1) * size);
      return [
        `mean intensity of ${name}`,
        values.reduce((sum, value) => sum + value, 0) / size,
        seen.intensity[channel],
        "",
      ];
    }),
  ];
  return checks
    .filter(
      ([, value, [low, high]]) =>
        !(low - TOLERANCE * Math.abs(low) <= value && value <= high + TOLERANCE * Math.abs(high)),
    )
    .map(
      ([name, value, [low, high], of]) =>
        `${name} ${short(value)}${of} outside training's ${short(low)} to ${short(high)}`,
    );
}

function short(value: number): string {
  return `${Number(value.toPrecision(4))}`;
}
