/** Averages the folds of a model: as inference/fold_average.py and light.py. */

import { product, type Tensor } from "../image/array";
import type { Frame } from "../preprocessing/frame";
import { type Pad, seen, unpad } from "../preprocessing/networkInput";
import { type Moment, moments, probabilities, pyramid } from "./automaton";
import type { Graphics } from "./graphics";
import type { Kernels } from "./kernels";
import type { Model } from "./model";
import { Deviation } from "./quality";

const CELLS_PER_PART = 2 ** 17; // pixels of the slices that are predicted together

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

/** mean: probabilities (K, S, H, W) over the folds. score: the quality score of the first fold, as thresholds are learned
 * from single folds; null for a network without random runs. progress: is called with the share that is done.
 */
export async function foldAverage(
  model: Model,
  engines: Engines,
  { grid, pad }: Prepared,
  progress: (share: number) => void,
): Promise<{ mean: Tensor; score: number | null }> {
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
      const everywhere = engines.graphics;
      const near = scored || !everywhere ? await atOutline(outline, number, scored, everywhere !== null) : null;
      const maps = everywhere ? await everywhere.probabilities(image, model.weights[number]) : near!;
      unpad(
        { data: maps.data, shape: [form.nOutputs, part.shape[1], ...pad.padded.slice(1)] },
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
