/** The cells of one level with a border of one cell around each grid: as runtime/grid.py. */

import { each, product, stridesOf, type Tensor } from "../image/array";
import type { Border } from "./rule";

export class Grid {
  /** Sides with the border; strides and neighbours in it. */
  readonly sides: readonly number[];
  readonly size: number;
  /** Where the 3^dim cells around a cell lie, itself in the middle. */
  readonly around: Int32Array;
  /** Index with the border of each cell, in row-major order without it. */
  readonly inner: Int32Array;
  /** The cells of the border, and the inner cell that each repeats. */
  readonly border: Int32Array;
  readonly source: Int32Array;

  /** shape: (N, *spatial) without the border; N grids do not touch each other. */
  constructor(
    readonly shape: readonly number[],
    readonly kind: Border,
  ) {
    const [count, ...spatial] = shape;
    this.sides = spatial.map((side) => side + 2);
    this.size = count * product(this.sides);
    const strides = stridesOf(this.sides);
    this.around = offsets(strides);
    this.inner = new Int32Array(product(shape));
    const whole = [product(this.sides), ...strides];
    const first = strides.reduce((sum, stride) => sum + stride, 0);
    each({ shape, strides: whole, offset: first }, (position, index) => (this.inner[position] = index));
    const [border, source] = [[] as number[], [] as number[]];
    for (let cell = 0; cell < this.size; cell++) {
      let from = cell;
      spatial.forEach((side, axis) => {
        const place = Math.floor(cell / strides[axis]) % (side + 2);
        const repeats = strides[axis] * (kind === "reflect" ? 2 : 1);
        if (place === 0) from += repeats;
        if (place === side + 1) from -= repeats;
      });
      if (from === cell) continue;
      border.push(cell);
      source.push(from);
    }
    this.border = Int32Array.from(border);
    this.source = Int32Array.from(source);
  }

  /** (C, N, *spatial) -> rows (cells with the border, C). */
  rows(image: Tensor): Float32Array {
    const channels = image.shape[0];
    const cells = this.inner.length;
    const rows = new Float32Array(this.size * channels);
    for (let channel = 0; channel < channels; channel++)
      for (let cell = 0; cell < cells; cell++)
        rows[this.inner[cell] * channels + channel] = image.data[channel * cells + cell];
    this.fillBorder(rows, channels);
    return rows;
  }

  /** Writes what lies beyond the border into rows (cells with the border, C). */
  fillBorder(rows: Float32Array, channels: number): void {
    if (this.kind === "zeros") return; // it never changes
    for (let at = 0; at < this.border.length; at++) {
      const [to, from] = [this.border[at] * channels, this.source[at] * channels];
      for (let channel = 0; channel < channels; channel++) rows[to + channel] = rows[from + channel];
    }
  }
}

/** (C, N, *spatial) averaged over cells of `ratio` voxels. */
export function averaged(image: Tensor, ratio: readonly number[]): Tensor {
  if (ratio.every((count) => count === 1)) return image;
  const leading = image.shape.slice(0, 2);
  const shape = [...leading, ...image.shape.slice(2).map((side, axis) => side / ratio[axis])];
  const strides = stridesOf(image.shape);
  const steps = strides.map((stride, axis) => (axis < 2 ? stride : stride * ratio[axis - 2]));
  const inside = ratio.map((_, axis) => strides[axis + 2]);
  const data = new Float32Array(product(shape));
  const count = product(ratio);
  each({ shape, strides: steps, offset: 0 }, (position, start) => {
    let sum = 0;
    each({ shape: ratio, strides: inside, offset: start }, (_, index) => (sum += image.data[index]));
    data[position] = sum / count;
  });
  return { data, shape };
}

function offsets(strides: readonly number[]): Int32Array {
  let found = [0];
  for (const stride of strides) found = found.flatMap((offset) => [-stride, 0, stride].map((step) => offset + step));
  return Int32Array.from(found);
}
