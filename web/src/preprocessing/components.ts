/** Keeping only the largest components of a class: as runtime/components.py and evaluation/component_removal.py. */

import { stridesOf } from "../image/array";
import type { Labels } from "./labels";

/** Keeps `kept[name]` components of each class, in place; absent: all. shape: (z, y, x) or (y, x).
 *
 * A voxel outside of them becomes background, or with regions what still contains it. Returns the classes that lost any.
 */
export function keepLargest(
  mask: Uint8Array | Uint16Array,
  shape: readonly number[],
  kept: Readonly<Record<string, number>>,
  labels: Labels,
): string[] {
  return labels.names.filter((name, index) => {
    if (!(name in kept)) return false;
    const values = new Set(labels.values[index]);
    const stray = outsideLargest(mask, shape, values, kept[name]);
    for (const voxel of stray) mask[voxel] = labelWithout(mask[voxel], values, labels);
    return stray.length > 0;
  });
}

/** The voxels with one of `values` outside of the `count` largest components, corners included. Among equals the first stays. */
function outsideLargest(
  mask: Uint8Array | Uint16Array,
  shape: readonly number[],
  values: ReadonlySet<number>,
  count: number,
): number[] {
  const found: number[][] = [];
  const seen = new Uint8Array(mask.length);
  const visit = neighbours(shape);
  for (let start = 0; start < mask.length; start++) {
    if (seen[start] || !values.has(mask[start])) continue;
    const component = [start];
    seen[start] = 1;
    for (let next = 0; next < component.length; next++)
      visit(component[next], (voxel) => {
        if (seen[voxel] || !values.has(mask[voxel])) return;
        seen[voxel] = 1;
        component.push(voxel);
      });
    found.push(component);
  }
  return found
    .sort((one, other) => other.length - one.length)
    .slice(count)
    .flat();
}

/** Calls back with each voxel that touches a voxel by a face, an edge or a corner. */
function neighbours(shape: readonly number[]): (voxel: number, found: (voxel: number) => void) => void {
  const strides = stridesOf(shape);
  const walk = (voxel: number, axis: number, at: number, found: (voxel: number) => void): void => {
    if (axis === shape.length) {
      if (at !== voxel) found(at);
      return;
    }
    const place = Math.floor(voxel / strides[axis]) % shape[axis];
    for (let step = place > 0 ? -1 : 0; step <= (place < shape[axis] - 1 ? 1 : 0); step++)
      walk(voxel, axis + 1, at + step * strides[axis], found);
  };
  return (voxel, found) => walk(voxel, 0, voxel, found);
}

/** What a voxel becomes when it leaves the output with these values and every output inside of that one. */
function labelWithout(value: number, left: ReadonlySet<number>, labels: Labels): number {
  let result = 0;
  labels.regionOrder.forEach((painted, region) => {
    const values = labels.values[region];
    if (values.includes(value) && values.some((each) => !left.has(each))) result = painted;
  });
  return left.has(result) ? 0 : result;
}
