/** How the voxels of a file lie in space, and the way between a file's axes and ours: as runtime/geometry.py.
 *
 * File axes are (i, j[, k]), the fastest first. Array axes are (z, y, x) or (y, x), in LPS. Oblique images keep their
 * voxels: each axis goes to the closest of the three. A file with exactly one axis of length 1 is a 2D image.
 */

import { InputError } from "../errors";
import { gathered, type Numbers, scatter, stridesOf, type View } from "./array";

export type Matrix = readonly (readonly number[])[];

export interface Geometry {
  /** Voxels per file axis, (i, j) or (i, j, k). */
  readonly fileShape: readonly number[];
  /** The file axis that each array axis comes from. */
  readonly axes: readonly number[];
  /** Whether the array axis runs against its file axis. */
  readonly flips: readonly boolean[];
  /** Per array axis. */
  readonly spacingMm: readonly number[];
}

const HEADER = "Correct the header, for example with 3D Slicer or ITK-SNAP.";

/** affineLps: 3 rows of 4, from (i, j, k, 1) to LPS mm. Throws InputError for a header that no image can have. */
export function geometryFromAffine(fileShape: readonly number[], affineLps: Matrix): Geometry {
  const columns = [0, 1, 2].map((axis) => affineLps.map((row) => row[axis]));
  const flat = fileShape.length === 2 || fileShape[2] === 1;
  if (flat && columns[2].every((value) => value === 0)) {
    const normal = cross(columns[0], columns[1]);
    columns[2] = scaled(normal, 1 / (length(normal) || 1));
  }
  const spacing = columns.map(length);
  spacing.forEach((value, axis) => {
    if (!(Number.isFinite(value) && value > 0))
      throw new InputError("", "a positive spacing along each axis", `${value} along axis ${axis + 1}`, HEADER);
  });
  const direction = columns.map((column, axis) => scaled(column, 1 / spacing[axis]));
  const volume = dot(cross(direction[0], direction[1]), direction[2]);
  if (!(Math.abs(volume) >= 1e-6) || affineLps.some((row) => !Number.isFinite(row[3])))
    throw new InputError("", "an origin and three independent axis directions", JSON.stringify(affineLps), HEADER);
  const world = orientation(direction);
  const ones = fileShape.filter((size) => size === 1).length;
  const kept = fileShape.length === 3 ? [0, 1, 2].filter((axis) => fileShape[axis] !== 1 || ones !== 1) : [0, 1];
  const axes = kept.sort((one, other) => world[other].axis - world[one].axis);
  return {
    fileShape: [...fileShape],
    axes,
    flips: axes.map((axis) => world[axis].sense < 0),
    spacingMm: axes.map((axis) => spacing[axis]),
  };
}

/** Voxels per array axis. */
export function shapeOf(geometry: Geometry): number[] {
  return geometry.axes.map((axis) => geometry.fileShape[axis]);
}

/** A channel of a file's voxels, i the fastest -> (z, y, x) or (y, x). */
export function fromFileAxes<T extends Numbers>(voxels: T, geometry: Geometry): T {
  return gathered(voxels, viewOf(geometry));
}

/** The inverse of fromFileAxes. */
export function toFileAxes<T extends Numbers>(array: T, geometry: Geometry): T {
  const voxels = new (array.constructor as new (size: number) => T)(array.length);
  scatter(array, voxels, viewOf(geometry));
  return voxels;
}

function viewOf(geometry: Geometry): View {
  const fastestFirst = stridesOf([...geometry.fileShape].reverse()).reverse();
  let offset = 0;
  const strides = geometry.axes.map((axis, at) => {
    const stride = fastestFirst[axis];
    if (!geometry.flips[at]) return stride;
    offset += (geometry.fileShape[axis] - 1) * stride;
    return -stride;
  });
  return { shape: shapeOf(geometry), strides, offset };
}

/** Per file axis the closest world axis and its sense: nibabel's io_orientation. direction: one unit vector per axis. */
function orientation(direction: Matrix): { axis: number; sense: number }[] {
  const rotation = closestRotation(direction).map((column) => [...column]);
  const strength = rotation.map((column) => Math.max(...column.map((value) => value * value)));
  const order = [0, 1, 2].sort((one, other) => strength[other] - strength[one] || one - other);
  const found: { axis: number; sense: number }[] = [];
  for (const axis of order) {
    const column = rotation[axis].map(Math.abs);
    const out = column.indexOf(Math.max(...column));
    found[axis] = { axis: out, sense: rotation[axis][out] < 0 ? -1 : 1 };
    for (const other of rotation) other[out] = 0;
  }
  return found;
}

/** The orthogonal factor of the polar decomposition, by Newton's iteration (Higham 1986). Columns in, columns out. */
function closestRotation(columns: Matrix): Matrix {
  let current = columns;
  for (let step = 0; step < 100; step++) {
    const [a, b, c] = current as [number[], number[], number[]];
    const determinant = dot(cross(a, b), c);
    const inverse = [cross(b, c), cross(c, a), cross(a, b)].map((row) => scaled(row, 1 / determinant)); // transposed
    const next = current.map((column, at) => column.map((value, row) => (value + inverse[at][row]) / 2));
    const change = Math.max(...next.flatMap((column, at) => column.map((value, row) => value - current[at][row])));
    current = next;
    if (Math.abs(change) < 1e-14) break;
  }
  return current;
}

function cross(a: readonly number[], b: readonly number[]): number[] {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

function length(a: readonly number[]): number {
  return Math.sqrt(dot(a, a));
}

function scaled(a: readonly number[], by: number): number[] {
  return a.map((value) => value * by);
}
