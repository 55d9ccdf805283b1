/** What a network sees of a preprocessed image: padded, with adjacent slices and position, slices as a batch.
 *
 * As runtime/network_input.py, padding.py, position.py and slices.py.
 */

import { product, type Tensor } from "../image/array";

export interface InputFormat {
  /** 2 for slices, 3 for volumes. */
  readonly dim: number;
  /** Smaller images are padded to this size by repeating their edges. */
  readonly imageSize: readonly number[];
  /** All sides are multiples of it. */
  readonly factor: readonly number[];
  readonly adjacentSlices: number;
  /** Sides of a typical image where the network sees the position of its voxels, else []. */
  readonly position: readonly number[];
}

/** Sides before and after padding, and where the image begins in the padded one; all of three axes (S, H, W). */
export interface Pad {
  readonly shape: readonly number[];
  readonly padded: readonly number[];
  readonly starts: readonly number[];
}

export function padOf(shape: readonly number[], format: InputFormat): Pad {
  const first = 3 - format.dim;
  const padded = shape.map((side, axis) => {
    if (axis < first) return side;
    const factor = format.factor[axis - first];
    return Math.ceil(Math.max(side, format.imageSize[axis - first]) / factor) * factor;
  });
  return { shape, padded, starts: padded.map((side, axis) => Math.floor((side - shape[axis]) / 2)) };
}

export function channelsSeen(channels: number, format: InputFormat): number {
  return channels * (format.dim === 2 ? 2 * format.adjacentSlices + 1 : 1) + format.position.length;
}

/** (C, S, H, W) preprocessed -> what the network sees of slices [first, last): (channels, last - first, H, W), padded.
 *
 * In 3D always all of the padded volume.
 */
export function seen(image: Tensor, pad: Pad, format: InputFormat, first = 0, last = pad.padded[0]): Tensor {
  const channels = image.shape[0];
  const adjacent = format.dim === 2 ? format.adjacentSlices : 0;
  const [slices, height, width] = [last - first, pad.padded[1], pad.padded[2]];
  const size = slices * height * width;
  const total = channelsSeen(channels, format);
  const data = new Float32Array(total * size);
  let target = 0;
  for (let offset = -adjacent; offset <= adjacent; offset++)
    for (let channel = 0; channel < channels; channel++)
      for (let slice = first; slice < last; slice++)
        target = copySlice(image, pad, channel, slice + offset, data, target);
  addPosition(data, target, pad, format, first, last);
  return { data, shape: [total, slices, height, width] };
}

/** Probabilities (K, slices, H, W) of padded slices -> the part without padding, written to `whole` (K, S, H, W). */
export function unpad(probabilities: Tensor, pad: Pad, whole: Tensor, first: number, weight: number): void {
  const [outputs, slices, height, width] = probabilities.shape;
  const [total, sides] = [pad.shape[0], pad.shape.slice(1)];
  const from = pad.padded[0] === pad.shape[0] ? 0 : pad.starts[0]; // padded along S only in 3D
  const count = Math.min(slices, total);
  for (let output = 0; output < outputs; output++)
    for (let slice = 0; slice < count; slice++)
      for (let row = 0; row < sides[0]; row++) {
        const source = ((output * slices + slice + from) * height + row + pad.starts[1]) * width + pad.starts[2];
        const target = ((output * total + first + slice) * sides[0] + row) * sides[1];
        for (let at = 0; at < sides[1]; at++) whole.data[target + at] += weight * probabilities.data[source + at];
      }
}

/** One padded slice of a channel; slices beyond the ends repeat the first and the last. Returns where it ends. */
function copySlice(
  image: Tensor,
  pad: Pad,
  channel: number,
  slice: number,
  data: Float32Array,
  target: number,
): number {
  const [slices, height, width] = pad.shape;
  const from = (channel * slices + inside(slice - pad.starts[0], slices)) * height;
  for (let row = 0; row < pad.padded[1]; row++) {
    const start = (from + inside(row - pad.starts[1], height)) * width;
    for (let column = 0; column < pad.padded[2]; column++)
      data[target++] = image.data[start + inside(column - pad.starts[2], width)];
  }
  return target;
}

/** The place of each voxel along the last axes; half a typical side is the unit, and 0 the image's centre. */
function addPosition(
  data: Float32Array,
  target: number,
  pad: Pad,
  format: InputFormat,
  first: number,
  last: number,
): void {
  const axes = format.position.length;
  const counts = [last - first, pad.padded[1], pad.padded[2]];
  const starts = [first - pad.starts[0], -pad.starts[1], -pad.starts[2]];
  format.position.forEach((typical, index) => {
    const axis = 3 - axes + index;
    const inner = product(counts.slice(axis + 1));
    const outer = product(counts.slice(0, axis));
    for (let repeat = 0; repeat < outer; repeat++)
      for (let place = 0; place < counts[axis]; place++) {
        const value = (2 * (starts[axis] + place) + 1 - pad.shape[axis]) / typical;
        data.fill(value, target, target + inner);
        target += inner;
      }
  });
}

function inside(place: number, size: number): number {
  return Math.min(Math.max(place, 0), size - 1);
}
