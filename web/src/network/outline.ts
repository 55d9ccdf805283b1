/** Which cells of a level are computed: those at the outline, where the level above is not sure. As runtime/outline.py. */

import { each, stridesOf } from "../image/array";
import type { Moment } from "./automaton";
import type { Architecture } from "./rule";

/** eps: the probability that a sure cell may leave to other classes. halo: in cells of the level above. */
export interface Outline {
  readonly eps: number;
  readonly halo: number;
}

/** Which cells of a level lie within `halo` cells of one that is not sure, or whose neighbour has another class. */
export function nearOpen(
  { state, grid }: Pick<Moment, "state" | "grid">,
  form: Architecture,
  outline: Outline,
): Uint8Array {
  const { shape, inner } = grid;
  const [open, classes] = [new Uint8Array(inner.length), new Int32Array(inner.length)];
  const [free, outputs] = [form.channels - form.nImage, form.nOutputs];
  const bound = Math.log((1 - outline.eps) / outline.eps);
  for (let cell = 0; cell < inner.length; cell++) {
    const at = inner[cell] * free;
    let largest = 0;
    for (let output = 1; output < outputs; output++) if (state[at + output] > state[at + largest]) largest = output;
    let total = 0;
    for (let output = 0; output < outputs; output++) {
      const value = state[at + output];
      if (!form.sigmoid)
        total += Math.exp(value - state[at + largest]); // the largest probability is 1 / total
      else if (Math.abs(value) < bound) open[cell] = 1;
      if (form.sigmoid && value > 0) classes[cell] += 2 ** output;
    }
    if (form.sigmoid) continue;
    classes[cell] = largest;
    if (total > 1 / (1 - outline.eps)) open[cell] = 1;
  }
  const strides = stridesOf(shape);
  for (let axis = 1; axis < shape.length; axis++)
    pairs(shape, strides, axis, 1, (first, second) => {
      if (classes[first] !== classes[second]) open[first] = open[second] = 1;
    });
  return grown(open, shape, outline.halo);
}

/** `mask`, and all cells within `by` cells of it along each axis but the first. */
function grown(mask: Uint8Array, shape: readonly number[], by: number): Uint8Array {
  const strides = stridesOf(shape);
  let result = mask;
  for (let axis = 1; axis < shape.length; axis++) {
    const before = result;
    const after = result.slice();
    for (let distance = 1; distance <= Math.min(by, shape[axis] - 1); distance++)
      pairs(shape, strides, axis, distance, (first, second) => {
        if (before[second]) after[first] = 1;
        if (before[first]) after[second] = 1;
      });
    result = after;
  }
  return result;
}

/** Calls `visit` for all cells that have a neighbour `distance` further along `axis`, with it. */
function pairs(
  shape: readonly number[],
  strides: readonly number[],
  axis: number,
  distance: number,
  visit: (first: number, second: number) => void,
): void {
  const part = shape.map((side, at) => (at === axis ? side - distance : side));
  each({ shape: part, strides, offset: 0 }, (_, first) => visit(first, first + distance * strides[axis]));
}
