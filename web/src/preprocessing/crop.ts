/** Cropping to the part of an image that is not zero, and putting results back: as runtime/cropping.py. */

import { gathered, type Numbers, product, scatter, stridesOf, type Tensor, type View } from "../image/array";

/** [start, stop) per spatial axis, and the sides of the whole image. */
export interface Crop {
  readonly box: readonly (readonly [number, number])[];
  readonly shape: readonly number[];
}

/** To where any channel of (C, *spatial) is not zero; an image of zeros only keeps its whole extent. */
export function nonzeroCrop(image: Tensor): Crop {
  const [channels, ...shape] = image.shape;
  const size = product(shape);
  const low = shape.map(() => Infinity);
  const high = shape.map(() => -1);
  const strides = stridesOf(shape);
  for (let voxel = 0; voxel < size; voxel++) {
    let occupied = false;
    for (let channel = 0; channel < channels && !occupied; channel++)
      occupied = image.data[channel * size + voxel] !== 0;
    if (!occupied) continue;
    for (let axis = 0; axis < shape.length; axis++) {
      const place = Math.floor(voxel / strides[axis]) % shape[axis];
      if (place < low[axis]) low[axis] = place;
      if (place > high[axis]) high[axis] = place;
    }
  }
  const empty = high[0] < 0;
  return { box: shape.map((side, axis) => (empty ? [0, side] : [low[axis], high[axis] + 1])), shape };
}

export function croppedShape(crop: Crop): number[] {
  return crop.box.map(([start, stop]) => stop - start);
}

/** (C, *shape) -> (C, *croppedShape). */
export function cropped(image: Tensor, crop: Crop): Tensor {
  const view = viewOf(crop, image.shape[0]);
  return { data: gathered(image.data, view), shape: view.shape };
}

/** (*croppedShape) -> (*shape); 0 where it was cropped. */
export function uncropped<T extends Numbers>(volume: T, crop: Crop): T {
  const whole = new (volume.constructor as new (size: number) => T)(product(crop.shape));
  scatter(volume, whole, viewOf(crop));
  return whole;
}

function viewOf(crop: Crop, channels?: number): View {
  const strides = stridesOf(crop.shape);
  const offset = crop.box.reduce((total, [start], axis) => total + start * strides[axis], 0);
  if (channels === undefined) return { shape: croppedShape(crop), strides, offset };
  return { shape: [channels, ...croppedShape(crop)], strides: [product(crop.shape), ...strides], offset };
}
