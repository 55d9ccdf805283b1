/** From an image to its segmentation, with a quality flag: as inference/predictor.py, on the machine of the browser. */

import { InputError } from "./errors";
import { product, type Tensor } from "./image/array";
import { shapeOf } from "./image/geometry";
import type { Image } from "./image/nifti";
import { type Moment, moments, probabilities, pyramid } from "./network/automaton";
import type { Graphics } from "./network/graphics";
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

/** What computes. graphics: every cell; null: the cells at the outline, by the kernels. */
export interface Engines {
  readonly kernels: Kernels;
  readonly graphics: Graphics | null;
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
export async function segment(
  model: Model,
  engines: Engines,
  image: Image,
  progress: (share: number) => void = () => {},
): Promise<Segmentation> {
  const start = performance.now();
  const prepared = prepare(model, image);
  const { mean, score } = await averaged(model, engines, prepared, progress);
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

/** The mean of the folds (K, S, H, W), and the quality score of the first: thresholds are learned from single folds. */
async function averaged(model: Model, engines: Engines, { grid, pad }: Prepared, progress: (share: number) => void) {
  const { form, folds, format } = model;
  const shape = [form.nOutputs, ...grid.shape.slice(1)];
  const mean = { data: new Float32Array(product(shape)), shape };
  const deviation = new Deviation();
  const volume = format.dim === 3;
  const total = pad.padded[0];
  const size = volume ? total : Math.max(1, Math.floor(CELLS_PER_PART / (pad.padded[1] * pad.padded[2])));
  const all = Math.ceil(total / size) * folds.length;
  let done = 0;
  for (let first = 0; first < total; first += size) {
    const part = seen(grid, pad, format, first, Math.min(first + size, total));
    const image = volume ? { ...part, shape: [part.shape[0], 1, ...part.shape.slice(1)] } : part;
    const levels = pyramid(form, image);
    for (const number of folds.keys()) {
      const within = (share: number) => progress((done + share) / all);
      const outline = { model, kernels: engines.kernels, levels, first: volume ? 0 : first, within };
      const scored = number === 0 && form.fireRate < 1 ? deviation : null;
      let maps =
        engines.graphics && !scored ? null : await atOutline(outline, number, scored, engines.graphics !== null);
      maps = engines.graphics ? await engines.graphics.probabilities(image, model.weights[number]) : maps;
      unpad(
        { data: maps!.data, shape: [form.nOutputs, part.shape[1], ...pad.padded.slice(1)] },
        pad,
        mean,
        first,
        1 / folds.length,
      );
      progress(++done / all);
    }
  }
  return { mean, score: form.fireRate < 1 ? deviation.score : null };
}

interface AtOutline {
  readonly model: Model;
  readonly kernels: Kernels;
  /** What each level sees of some slices, or of a volume. */
  readonly levels: readonly Tensor[];
  readonly first: number;
  readonly within: (share: number) => void;
}

/** The probabilities of one fold. deviation: a random run is compared too. scoreOnly: stops when that is done. */
async function atOutline(
  { model, kernels, levels, first, within }: AtOutline,
  fold: number,
  deviation: Deviation | null,
  scoreOnly: boolean,
): Promise<Tensor> {
  const { form, comparedLevels } = model;
  const run = deviation ? { seed: 0, number: 0, fireRate: form.fireRate } : undefined;
  const steps = form.levels.reduce((sum, level) => sum + level.steps, 0);
  let [step, last] = [0, null as Moment | null];
  for await (const moment of moments(model.folds[fold], kernels, levels, { run, first, runLevels: comparedLevels })) {
    last = moment;
    if (!moment.step) continue;
    within(++step / steps);
    if (!deviation || moment.level !== comparedLevels - 1 || moment.step < form.levels[moment.level].steps) continue;
    deviation.add(moment, form);
    if (scoreOnly) break;
  }
  return probabilities(last!, form);
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
