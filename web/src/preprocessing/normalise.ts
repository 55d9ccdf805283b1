/** Intensity normalisation per channel: as runtime/normalisation.py. */

import { InputError } from "../errors";
import { product, type Tensor } from "../image/array";

export type Scheme = "zscore" | "ct" | "rgb" | "none";

/** ctStatistics: per channel mean, sd, 0.5 and 99.5 percentile. clipPercentiles: "zscore" clips to the case's own. */
export interface Normalise {
  readonly schemes: readonly Scheme[];
  readonly ctStatistics: readonly (readonly number[])[];
  readonly clipPercentiles: boolean;
}

const LARGEST_SAMPLE = 1_000_000;

/** (C, *spatial) -> (C, *spatial), a copy. */
export function normalised(image: Tensor, { schemes, ctStatistics, clipPercentiles }: Normalise): Tensor {
  const [channels, ...shape] = image.shape;
  if (channels !== schemes.length)
    throw new InputError("", `${schemes.length} image channels as in training`, `${channels}`);
  const data = Float32Array.from(image.data);
  const size = product(shape);
  schemes.forEach((scheme, index) => {
    const channel = data.subarray(index * size, (index + 1) * size);
    if (scheme === "zscore") zscore(channel, shape, clipPercentiles);
    else if (scheme === "ct") {
      const [mean, sd, low, high] = ctStatistics[index];
      clip(channel, low, high);
      standardise(channel, mean, sd);
    } else if (scheme === "rgb")
      channel.forEach((value, at) => (channel[at] = Math.fround(value * Math.fround(2 / 255)) - 1));
  });
  return { data, shape: image.shape };
}

/** The 0.5 and 99.5 percentiles; above a million values, of an evenly strided sample. */
export function percentiles(values: Float32Array, shape: readonly number[]): [number, number] {
  let stride = Math.max(1, Math.ceil(values.length / LARGEST_SAMPLE));
  if (stride > 1) while (shape.some((side) => gcd(stride, side) > 1)) stride++; // else every row gives the same columns
  const sorted = Float32Array.from(
    { length: Math.ceil(values.length / stride) },
    (_, at) => values[at * stride],
  ).sort();
  return [quantile(sorted, 0.005), quantile(sorted, 0.995)];
}

function quantile(sorted: Float32Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

function zscore(channel: Float32Array, shape: readonly number[], clipPercentiles: boolean): void {
  if (clipPercentiles) {
    const [low, high] = percentiles(channel, shape);
    if (low < high) clip(channel, low, high); // else nearly all voxels are equal, and the few others are the image
  }
  let sum = 0;
  for (const value of channel) sum += value;
  const mean = sum / channel.length;
  let squares = 0;
  for (const value of channel) squares += (value - mean) ** 2;
  standardise(channel, mean, Math.sqrt(squares / channel.length));
}

/** A constant channel becomes zero. */
function standardise(channel: Float32Array, mean: number, sd: number): void {
  const gain = Math.fround(sd > 1e-6 * Math.abs(mean) ? 1 / sd : 0);
  const shift = Math.fround(mean);
  for (let at = 0; at < channel.length; at++) channel[at] = Math.fround(channel[at] - shift) * gain;
}

function clip(channel: Float32Array, low: number, high: number): void {
  for (let at = 0; at < channel.length; at++) channel[at] = Math.min(Math.max(channel[at], low), high);
}

function gcd(a: number, b: number): number {
  return b ? gcd(b, a % b) : a;
}
