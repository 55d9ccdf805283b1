/** The way of one image to the network's grid, and the way back: as runtime/preprocessing.py and preprocessing_steps.py.
 *
 * Images as read are (C, z, y, x) or (C, y, x) in LPS; on the grid they are (C, S, H, W).
 */

import { type Tensor, transposed } from "../image/array";
import { type Crop, cropped, croppedShape, nonzeroCrop, uncropped } from "./crop";
import { decode, type Labels } from "./labels";
import { type Normalise, normalised } from "./normalise";
import { resampled, resampledBack, resampleTo, type Resample } from "./resample";

export interface PreprocessingPlan {
  /** The LPS axis that each of S, H, W comes from; [] for 2D images, which get an axis S of one slice. */
  readonly axisOrder: readonly number[];
  /** Target per (S, H, W) axis; null leaves the axis as it is. */
  readonly spacingMm: readonly (number | null)[];
  readonly anisotropyThreshold: number;
  readonly normalise: Normalise;
}

export interface Frame {
  readonly crop: Crop;
  readonly axisOrder: readonly number[];
  readonly normalise: Normalise;
  readonly resample: Resample;
}

export function frameOf(image: Tensor, spacingMm: readonly number[], plan: PreprocessingPlan): Frame {
  const crop = nonzeroCrop(image);
  const order = plan.axisOrder;
  const sides = croppedShape(crop);
  const shape = order.length ? order.map((axis) => sides[axis]) : [1, ...sides];
  const spacing = order.length ? order.map((axis) => spacingMm[axis]) : [spacingMm[0], ...spacingMm];
  const resample = resampleTo(shape, spacing, plan.spacingMm, plan.anisotropyThreshold);
  return { crop, axisOrder: order, normalise: plan.normalise, resample };
}

/** (C, z, y, x) or (C, y, x) -> (C, S, H, W). */
export function preprocessed(image: Tensor, frame: Frame): Tensor {
  const small = cropped(image, frame.crop);
  const [channels, ...shape] = small.shape;
  const sliced = frame.axisOrder.length
    ? transposed(small, frame.axisOrder)
    : { data: small.data, shape: [channels, 1, ...shape] };
  return resampled(normalised(sliced, frame.normalise), frame.resample);
}

/** Probabilities (K, S, H, W) -> label values (z, y, x) or (y, x). What was cropped away is background. */
export function restoredLabels(probabilities: Tensor, frame: Frame, labels: Labels): Uint8Array | Uint16Array {
  const back = resampledBack(probabilities, frame.resample);
  const decoded = decode(back, labels);
  const order = frame.axisOrder;
  const inverse = order.map((_, axis) => order.indexOf(axis));
  const turned = order.length ? transposed({ data: decoded, shape: back.shape.slice(1) }, inverse).data : decoded;
  return uncropped(turned, frame.crop);
}
