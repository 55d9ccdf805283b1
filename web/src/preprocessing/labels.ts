/** What the label values mean, and from probabilities to them: as runtime/labels.py. */

import type { Tensor } from "../image/array";

export interface Labels {
  /** One per foreground output. */
  readonly names: readonly string[];
  /** The label values that each output covers: exactly one without regions. */
  readonly values: readonly (readonly number[])[];
  /** The value that each region writes, in the order of writing; [] without regions. */
  readonly regionOrder: readonly number[];
}

/** Label value in masks -> name of its class, or of the region that writes it. */
export function classNames(labels: Labels): Map<number, string> {
  const values = labels.regionOrder.length ? labels.regionOrder : labels.values.map(([value]) => value);
  return new Map(values.map((value, index) => [value, labels.names[index]]));
}

/** Probabilities (K, ...) -> label values (...).
 *
 * Without regions: the most probable class, among equals the first. With regions: each that is more probable than 0.5
 * writes its value of `regionOrder`, in turn.
 */
export function decode(probabilities: Tensor, labels: Labels): Uint8Array | Uint16Array {
  const size = probabilities.data.length / probabilities.shape[0];
  const largest = Math.max(...labels.values.flat());
  const result = largest <= 255 ? new Uint8Array(size) : new Uint16Array(size);
  const map = (output: number) => probabilities.data.subarray(output * size, (output + 1) * size);
  if (labels.regionOrder.length) {
    labels.regionOrder.forEach((value, region) => {
      map(region).forEach((probability, at) => {
        if (probability > 0.5) result[at] = value;
      });
    });
    return result;
  }
  const best = map(0).slice();
  labels.values.forEach(([value], index) => {
    const probability = map(index + 1);
    for (let at = 0; at < size; at++) {
      if (probability[at] <= best[at]) continue;
      best[at] = probability[at];
      result[at] = value;
    }
  });
  return result;
}
