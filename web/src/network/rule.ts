/** The rule of one level's cells, folded into matrices: as runtime/folding.py and the Rule of runtime/light_nca.py. */

import { InputError } from "../errors";
import { product, type Tensor } from "../image/array";

export type Border = "replicate" | "reflect" | "zeros";
export type NormKind = "layer" | "rms" | "none";
export type Weights = ReadonlyMap<string, Tensor>;

/** What the weights do not say. levels: coarsest first. */
export interface Architecture {
  readonly levels: readonly { readonly factor: readonly number[]; readonly steps: number }[];
  /** All of the state, of which the first nImage are fixed. */
  readonly channels: number;
  readonly nImage: number;
  readonly nOutputs: number;
  readonly fireRate: number;
  readonly border: Border;
  readonly norm: NormKind;
  /** True if the outputs are regions, false if they are classes. */
  readonly sigmoid: boolean;
}

/** H hidden units, F free channels. fromImage: (3^dim * image channels, H). fromState: (3^dim * F, H). update: (H, F). */
export interface Rule {
  readonly hidden: number;
  readonly free: number;
  readonly fromImage: Float32Array;
  readonly fromState: Float32Array;
  readonly bias: Float32Array;
  readonly update: Float32Array;
  readonly norm: { readonly eps: number; readonly gain: Float32Array; readonly shift: Float32Array } | null;
}

const EPS = { layer: 1e-5, rms: 1e-6 };

/** Throws InputError when the weights are of another architecture. */
export function rules(weights: Weights, form: Architecture): Rule[] {
  return form.levels.map((_, index) => {
    const of = (name: string) => {
      const found = weights.get(`cells.${index}.${name}`);
      if (!found)
        throw new InputError(`cells.${index}.${name}`, "a weight of this plan's architecture", "no such weight");
      return found;
    };
    const has = (name: string) => weights.has(`cells.${index}.${name}`);
    const { matrix, bias } = has("banks.0.weight")
      ? withBanks(of, has)
      : { matrix: of("hidden.weight"), bias: has("hidden.bias") ? of("hidden.bias").data : null };
    const update = of("update.weight");
    const rows = update.shape[0] === form.channels ? form.nImage : 0; // the published layer has rows for the image too
    const affine =
      form.norm === "none" ? null : { eps: EPS[form.norm], gain: of("norm.weight").data, shift: of("norm.bias").data };
    return folded(matrix, bias, update, rows, form, affine);
  });
}

/** matrix: (H, channels, 3, ...). The mean that a layer norm subtracts is taken out of the matrices. */
function folded(
  matrix: Tensor,
  given: Float32Array | null,
  update: Tensor,
  skipped: number,
  form: Architecture,
  norm: Rule["norm"],
): Rule {
  const [hidden, channels, ...taps] = matrix.shape;
  const free = channels - form.nImage;
  const around = product(taps);
  if (channels !== form.channels || update.shape[0] - skipped !== free || update.shape[1] !== hidden) {
    const expected = `${form.channels} channels, ${form.nImage} of them of the image`;
    throw new InputError("the weights", expected, `perception ${matrix.shape} and update ${update.shape}`);
  }
  const bias = Float32Array.from({ length: hidden }, (_, unit) => given?.[unit] ?? 0);
  const weights = Float32Array.from(matrix.data);
  if (form.norm === "layer") {
    centre(weights, hidden);
    centre(bias, hidden);
  }
  const part = (from: number, count: number) => {
    const result = new Float32Array(around * count * hidden);
    for (let tap = 0; tap < around; tap++)
      for (let channel = 0; channel < count; channel++)
        for (let unit = 0; unit < hidden; unit++)
          result[(tap * count + channel) * hidden + unit] = weights[(unit * channels + from + channel) * around + tap];
    return result;
  };
  const change = new Float32Array(hidden * free);
  for (let unit = 0; unit < hidden; unit++)
    for (let channel = 0; channel < free; channel++)
      change[unit * free + channel] = update.data[(channel + skipped) * hidden + unit];
  return {
    hidden,
    free,
    fromImage: part(0, form.nImage),
    fromState: part(form.nImage, free),
    bias,
    update: change,
    norm,
  };
}

/** Subtracts the mean over the first axis, which has `count` entries, in place. */
function centre(values: Float32Array, count: number): void {
  const inner = values.length / count;
  for (let at = 0; at < inner; at++) {
    let sum = 0;
    for (let index = 0; index < count; index++) sum += values[index * inner + at];
    for (let index = 0; index < count; index++) values[index * inner + at] -= sum / count;
  }
}

/** The identity, the filter banks and the layer that mixes them as one convolution: all three are linear. */
function withBanks(
  of: (name: string) => Tensor,
  has: (name: string) => boolean,
): { matrix: Tensor; bias: Float32Array } {
  const mixing = of("hidden.weight");
  const bias = Float32Array.from(of("hidden.bias").data);
  const hidden = mixing.shape[0];
  const channels = of("banks.0.bias").data.length;
  const taps = of("banks.0.weight").shape.slice(2);
  const around = product(taps);
  const row = mixing.data.length / hidden;
  const matrix = new Float32Array(hidden * channels * around);
  for (let unit = 0; unit < hidden; unit++)
    for (let channel = 0; channel < channels; channel++)
      matrix[(unit * channels + channel) * around + (around - 1) / 2] = mixing.data[unit * row + channel];
  for (let bank = 0; has(`banks.${bank}.weight`); bank++) {
    const filter = of(`banks.${bank}.weight`).data;
    const shift = of(`banks.${bank}.bias`).data;
    for (let unit = 0; unit < hidden; unit++)
      for (let middle = 0; middle < channels; middle++) {
        const share = mixing.data[unit * row + (bank + 1) * channels + middle];
        bias[unit] += share * shift[middle];
        for (let at = 0; at < channels * around; at++)
          matrix[unit * channels * around + at] += share * filter[middle * channels * around + at];
      }
  }
  return { matrix: { data: matrix, shape: [hidden, channels, ...taps] }, bias };
}
