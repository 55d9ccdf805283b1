/** From an image to its segmentation, with a quality flag: as inference/predictor.py, on the machine of the browser. */

import { InputError } from "./errors";
import { product, type Tensor } from "./image/array";
import { shapeOf } from "./image/geometry";
import type { Image } from "./image/nifti";
import { type Moment, moments, probabilities, pyramid } from "./network/automaton";
import type { Kernels } from "./network/kernels";
import type { Model } from "./network/model";
import { Deviation, judge, type Verdict } from "./network/quality";
import { checkSpacing, rangeWarnings } from "./network/ranges";
import { keepLargest } from "./preprocessing/components";
import { type Frame, frameOf, preprocessed, restoredLabels } from "./preprocessing/frame";
import { classNames } from "./preprocessing/labels";
import { padOf, type Pad, seen, unpad } from "./preprocessing/networkInput";

const CELLS_PER_PART = 2 ** 17; // pixels of the slices that are predicted together

/** A class or region. value: that it writes into the mask. voxels: of all its values. volume: in ml, or cm2 of a 2D image; null where the spacing is not known. */
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

/** An image as the networks see it: (C, S, H, W), and the way back. */
export interface Prepared {
  readonly grid: Tensor;
  readonly frame: Frame;
  readonly pad: Pad;
}

/** Throws InputError for an image that does not fit the model. */
export function prepare(model: Model, image: Image): Prepared {
  check(model, image);
  const frame = frameOf(image.array, image.geometry.spacingMm, model.preprocessing);
  const grid = preprocessed(image.array, frame);
  return { grid, frame, pad: padOf(grid.shape.slice(1), model.format) };
}

/** progress: is called with the share that is done. */
export async function segment(model: Model, kernels: Kernels, image: Image, progress: (share: number) => void = () => {}): Promise<Segmentation> {
  const start = performance.now();
  const prepared = prepare(model, image);
  const { mean, score } = await averaged(model, kernels, prepared, progress);
  const labels = restoredLabels(mean, prepared.frame, model.labels);
  const removed = keepLargest(labels, shapeOf(image.geometry), model.components, model.labels);
  const found = count(model, image, labels);
  const verdict = judge(model.standing, score, found.every(({ voxels }) => voxels === 0));
  const warnings = rangeWarnings(image, model.trainingRange, model.channelNames, model.spacingKnown);
  return { labels, mean, found, score, verdict, removed, warnings, seconds: (performance.now() - start) / 1000 };
}

/** The mean of the folds (K, S, H, W), and the quality score of the first: thresholds are learned from single folds. */
async function averaged(model: Model, kernels: Kernels, { grid, pad }: Prepared, progress: (share: number) => void) {
  const { form, folds, format, comparedLevels } = model;
  const shape = [form.nOutputs, ...grid.shape.slice(1)];
  const mean = { data: new Float32Array(product(shape)), shape };
  const deviation = new Deviation();
  const scored = form.fireRate < 1;
  const size = format.dim === 3 ? pad.padded[0] : Math.max(1, Math.floor(CELLS_PER_PART / (pad.padded[1] * pad.padded[2])));
  const steps = form.levels.reduce((total, level) => total + level.steps, 0);
  const all = Math.ceil(pad.padded[0] / size) * folds.length * steps;
  let done = 0;
  for (let first = 0; first < pad.padded[0]; first += size) {
    const part = seen(grid, pad, format, first, Math.min(first + size, pad.padded[0]));
    const levels = pyramid(form, format.dim === 3 ? { ...part, shape: [part.shape[0], 1, ...part.shape.slice(1)] } : part);
    for (const [number, fold] of folds.entries()) {
      const run = number === 0 && scored ? { seed: 0, number: 0, fireRate: form.fireRate } : undefined;
      const asked = { run, first: format.dim === 3 ? 0 : first, runLevels: comparedLevels };
      let last: Moment | null = null;
      for await (const moment of moments(fold, kernels, levels, asked)) {
        last = moment;
        if (!moment.step) continue;
        progress(++done / all);
        if (moment.drawn && moment.level === comparedLevels - 1 && moment.step === form.levels[moment.level].steps) deviation.add(moment, form);
      }
      const maps = probabilities(last!, form);
      const slices = format.dim === 3 ? { ...maps, shape: [form.nOutputs, ...pad.padded] } : maps;
      unpad(slices, pad, mean, first, 1 / folds.length);
    }
  }
  return { mean, score: scored ? deviation.score : null };
}

function check(model: Model, image: Image): void {
  const [channels, ...shape] = image.array.shape;
  const names = model.channelNames;
  if (shape.length !== model.axes) {
    const kinds: Record<number, string> = { 2: "2D images", 3: "volumes" };
    throw new InputError("", `${kinds[model.axes]}, as ${model.dataset} was trained on`, `an image of ${shape.join(" x ")} voxels`);
  }
  if (channels !== names.length)
    throw new InputError("", `${names.length} channels (${names.join(", ")}), as ${model.dataset} was trained on`, `${channels}`, names.length > 1 ? "Give one file for each channel, in this order." : "");
  if (!image.array.data.every(Number.isFinite)) throw new InputError("", "finite intensities", "NaN or infinite voxels", "Replace them, or export the image again.");
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
