/** Separable resampling, one small interpolation matrix per axis: as runtime/resampling.py.
 *
 * Voxel centres are aligned: output i of n lies at (i + 0.5) * size / n - 0.5 of the input. Edges are replicated.
 */

import { product, type Tensor } from "../image/array";

const NEAREST = 0;
const LINEAR = 1;
const CUBIC = 3; // Keys 1981, a = -0.5
const REACH: Record<number, number> = { [LINEAR]: 1, [CUBIC]: 2 };

/** Brings (S, H, W) from `shape` to `resampledShape`, and probabilities back. orders: of interpolation, per axis. */
export interface Resample {
  readonly shape: readonly number[];
  readonly resampledShape: readonly number[];
  readonly orders: readonly number[];
}

/** targetMm: null leaves an axis as it is. anisotropyThreshold: so many times coarser an axis is interpolated linearly. */
export function resampleTo(
  shape: readonly number[],
  foundMm: readonly number[],
  targetMm: readonly (number | null)[],
  anisotropyThreshold: number,
): Resample {
  const wanted = targetMm.map((target, axis) => target ?? foundMm[axis]);
  const coarse = anisotropicAxis(foundMm, wanted, anisotropyThreshold);
  return {
    shape,
    resampledShape: shape.map((size, axis) =>
      targetMm[axis] === null ? size : Math.max(1, halfToEven((size * foundMm[axis]) / wanted[axis])),
    ),
    orders: shape.map((_, axis) => (axis === coarse ? LINEAR : CUBIC)),
  };
}

/** (C, *shape) -> (C, *resampledShape), without aliasing. */
export function resampled(image: Tensor, step: Resample): Tensor {
  return along(image, step.resampledShape, step.orders, true);
}

/** Probabilities (C, *resampledShape) -> (C, *shape), linearly. */
export function resampledBack(probabilities: Tensor, step: Resample): Tensor {
  return along(
    probabilities,
    step.shape,
    step.shape.map(() => LINEAR),
    false,
  );
}

function along(array: Tensor, shape: readonly number[], orders: readonly number[], antialias: boolean): Tensor {
  const leading = array.shape.length - shape.length;
  const changes = shape
    .map((size, axis) => ({
      factor: size / array.shape[leading + axis],
      axis: leading + axis,
      size,
      order: orders[axis],
    }))
    .filter(({ factor }) => factor !== 1)
    .sort((one, other) => one.factor - other.factor || one.axis - other.axis); // shrinking axes first: less work
  return changes.reduce(
    (result, { axis, size, order }) =>
      multiplied(result, axis, interpolation(result.shape[axis], size, order, antialias)),
    array,
  );
}

/** Row i holds the weights of the inputs in output i, as (first input, its weights). Rows sum to 1. */
export interface Interpolation {
  readonly size: number;
  readonly rows: readonly { readonly first: number; readonly weights: Float32Array }[];
}

export function interpolation(size: number, newSize: number, order: number, antialias = false): Interpolation {
  const factor = size / newSize;
  const rows = Array.from({ length: newSize }, (_, index) => {
    const centre = (index + 0.5) * factor - 0.5;
    if (order === NEAREST) {
      const nearest = Math.min(Math.max(Math.floor(centre + 0.5), 0), size - 1);
      return { first: nearest, weights: Float32Array.of(1) };
    }
    const width = antialias ? Math.max(1, factor) : 1;
    const reach = REACH[order] * width;
    const start = Math.floor(centre - reach);
    const count = Math.ceil(2 * reach) + 2;
    const taps = Array.from({ length: count }, (_, tap) => kernel((start + tap - centre) / width, order));
    const total = taps.reduce((sum, weight) => sum + weight, 0);
    const whole = new Float64Array(size);
    taps.forEach((weight, tap) => (whole[Math.min(Math.max(start + tap, 0), size - 1)] += weight / total));
    const first = Math.min(Math.max(start, 0), size - 1);
    return {
      first,
      weights: Float32Array.from(whole.subarray(first, Math.min(Math.max(start + count, first + 1), size))),
    };
  });
  return { size, rows };
}

function multiplied(array: Tensor, axis: number, matrix: Interpolation): Tensor {
  const before = product(array.shape.slice(0, axis));
  const after = product(array.shape.slice(axis + 1));
  const newSize = matrix.rows.length;
  const data = new Float32Array(before * newSize * after);
  const sums = new Float64Array(after);
  for (let outer = 0; outer < before; outer++) {
    matrix.rows.forEach(({ first, weights }, index) => {
      sums.fill(0);
      weights.forEach((weight, tap) => {
        const start = (outer * matrix.size + first + tap) * after;
        for (let inner = 0; inner < after; inner++) sums[inner] += weight * array.data[start + inner];
      });
      data.set(sums, (outer * newSize + index) * after);
    });
  }
  return { data, shape: array.shape.map((size, at) => (at === axis ? newSize : size)) };
}

function kernel(distance: number, order: number): number {
  const x = Math.abs(distance);
  if (order === LINEAR) return Math.max(0, 1 - x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((2.5 - 0.5 * x) * x - 4) * x + 2 : 0;
}

/** The axis more than `threshold` times coarser than every other, before or else after resampling; or -1. */
function anisotropicAxis(foundMm: readonly number[], targetMm: readonly number[], threshold: number): number {
  for (const spacing of [foundMm, targetMm]) {
    const order = [...spacing.keys()].sort((one, other) => spacing[one] - spacing[other] || one - other);
    const [next, coarsest] = order.slice(-2);
    if (spacing[coarsest] > threshold * spacing[next]) return coarsest;
  }
  return -1;
}

/** Python's round. */
function halfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 ? floor + 1 : floor;
}
