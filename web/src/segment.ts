/** From an image to its segmentation, with a quality flag: as inference/predictor.py, on the machine of the browser. */

import { InputError } from "./errors";
import { product, type Tensor } from "./image/array";
import { shapeOf } from "./image/geometry";
import type { Image } from "./image/nifti";
import { type Engines, foldAverage, type Prepared } from "./network/foldAverage";
import type { Model } from "./network/model";
import { judge, type Verdict } from "./network/quality";
import { checkSpacing, rangeWarnings } from "./network/ranges";
import { keepLargest } from "./preprocessing/components";
import { frameOf, preprocessed, restoredLabels } from "./preprocessing/frame";
import { classNames } from "./preprocessing/labels";
import { padOf } from "./preprocessing/networkInput";

/** A class or region. value: that it writes into the mask. voxels: of all its values. volume: in ml, or cm2 of a 2D
 * image; null where the spacing is not known.
 */
export interface Found {
  readonly value: number;
  readonly name: string;
  readonly voxels: number;
  readonly volume: number | null;
}

export interface Segmentation {
  /** (z, y, x) or (y, x), as the image. */
  readonly labels: Uint8Array | Uint16Array;
  /** Probabilities (K, S, H, W) on the network's grid. */
  readonly mean: Tensor;
  readonly found: readonly Found[];
  readonly score: number | null;
  readonly verdict: Verdict;
  /** Classes that lost components. */
  readonly removed: readonly string[];
  /** Where the image differs from those of training. */
  readonly warnings: readonly string[];
  readonly seconds: number;
}

/** Throws InputError for an image that does not fit the model. */
export function prepare(model: Model, image: Image): Prepared {
  check(model, image);
  const frame = frameOf(image.array, image.geometry.spacingMm, model.preprocessing);
  const grid = preprocessed(image.array, frame);
  return { grid, frame, pad: padOf(grid.shape.slice(1), model.format) };
}

/** progress: is called with the share that is done. */
export async function segment(
  model: Model,
  engines: Engines,
  image: Image,
  progress: (share: number) => void = () => {},
): Promise<Segmentation> {
  const start = performance.now();
  const prepared = prepare(model, image);
  const { mean, score } = await foldAverage(model, engines, prepared, progress);
  const labels = restoredLabels(mean, prepared.frame, model.labels);
  const removed = keepLargest(labels, shapeOf(image.geometry), model.components, model.labels);
  const found = count(model, image, labels);
  const verdict = judge(
    model.standing,
    score,
    found.every(({ voxels }) => voxels === 0),
  );
  const warnings = rangeWarnings(image, model.trainingRange, model.channelNames, model.spacingKnown);
  return { labels, mean, found, score, verdict, removed, warnings, seconds: (performance.now() - start) / 1000 };
}

function check(model: Model, image: Image): void {
  const [channels, ...shape] = image.array.shape;
  const names = model.channelNames;
  if (shape.length !== model.axes) {
    const kinds: Record<number, string> = { 2: "2D images", 3: "volumes" };
    throw new InputError(
      "",
      `${kinds[model.axes]}, as ${model.dataset} was trained on`,
      `an image of ${shape.join(" x ")} voxels`,
    );
  }
  if (channels !== names.length)
    throw new InputError(
      "",
      `${names.length} channels (${names.join(", ")}), as ${model.dataset} was trained on`,
      `${channels}`,
      names.length > 1 ? "Give one file for each channel, in this order." : "",
    );
  if (!image.array.data.every(Number.isFinite))
    throw new InputError(
      "",
      "finite intensities",
      "NaN or infinite voxels",
      "Replace them, or export the image again.",
    );
  checkSpacing(image, model.trainingRange);
}

function count(model: Model, image: Image, labels: Uint8Array | Uint16Array): Found[] {
  const voxels = new Map<number, number>();
  for (const value of labels) if (value) voxels.set(value, (voxels.get(value) ?? 0) + 1);
  const volume = product(image.geometry.spacingMm) / (image.geometry.spacingMm.length === 3 ? 1000 : 100);
  return [...classNames(model.labels)].map(([value, name], index) => {
    const number = model.labels.values[index].reduce((sum, each) => sum + (voxels.get(each) ?? 0), 0);
    return { value, name, voxels: number, volume: model.spacingKnown ? number * volume : null };
  });
}
