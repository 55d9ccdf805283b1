/** The cells of one slice, step by step: what they believe, and which of them compute. */

import { gathered, product, stridesOf, type Tensor } from "../image/array";
import { seen } from "../preprocessing/networkInput";
import { type Moment, moments, probabilities, pyramid } from "./automaton";
import type { Prepared } from "./foldAverage";
import type { Kernels } from "./kernels";
import type { Model } from "./model";

/** One step of a level, in the cells of the slice without the border. */
export interface Picture {
  readonly level: number;
  readonly step: number;
  readonly height: number;
  readonly width: number;
  /** (K, height, width). */
  readonly probabilities: Float32Array;
}

export interface LevelPictures {
  /** Voxels of the image in a cell, along height and width. */
  readonly factor: readonly [number, number];
  readonly steps: number;
  readonly height: number;
  readonly width: number;
  /** The first channel of the slice as the cells see it: (height, width). */
  readonly image: Float32Array;
  /** 1 where a cell computes. */
  readonly active: Uint8Array;
}

/** height, width: of the image. top, left: where it begins in the padded one, whose cells the levels are. */
export interface Film {
  readonly height: number;
  readonly width: number;
  readonly top: number;
  readonly left: number;
  readonly levels: readonly LevelPictures[];
  readonly pictures: readonly Picture[];
}

/** The first fold on a slice of the prepared image. A 3D model computes its whole volume for that. */
export async function film(model: Model, kernels: Kernels, { grid, pad }: Prepared, slice: number): Promise<Film> {
  const { form, format } = model;
  const flat = format.dim === 2;
  const part = seen(grid, pad, format, flat ? slice : 0, flat ? slice + 1 : pad.padded[0]);
  const image = flat ? part : { data: part.data, shape: [part.shape[0], 1, ...part.shape.slice(1)] };
  const levels = pyramid(form, image);
  const own = format.adjacentSlices * grid.shape[0]; // the slice's own first channel, after those of lower slices
  const place = slice + (flat ? 0 : pad.starts[0]);
  const made: LevelPictures[] = [];
  const pictures: Picture[] = [];
  for await (const moment of moments(model.folds[0], kernels, levels)) {
    const at = flat ? 0 : Math.floor(place / form.levels[moment.level].factor[0]);
    const [height, width] = moment.grid.shape.slice(-2);
    if (!moment.step) made.push(described(moment, model, levels[moment.level], own, at));
    else
      pictures.push({
        level: moment.level,
        step: moment.step,
        height,
        width,
        probabilities: sliceOf(probabilities(moment, form), at),
      });
  }
  const [, height, width] = pad.shape;
  const [, top, left] = pad.starts;
  return { height, width, top, left, levels: made, pictures };
}

function described(moment: Moment, model: Model, image: Tensor, channel: number, at: number): LevelPictures {
  const { factor, steps } = model.form.levels[moment.level];
  const [height, width] = moment.grid.shape.slice(-2);
  const all = new Uint8Array(product(moment.grid.shape));
  for (const cell of moment.cells) all[cell] = 1;
  const size = height * width;
  const pixels = sliceOf(image, at).subarray(channel * size, (channel + 1) * size);
  const [high, wide] = factor.slice(-2);
  return {
    factor: [high, wide],
    steps,
    height,
    width,
    image: pixels.slice(),
    active: all.slice(at * size, (at + 1) * size),
  };
}

/** (C, N or 1, [depth,] height, width) -> (C, height, width) of one slice. */
function sliceOf({ data, shape }: Tensor, at: number): Float32Array {
  const [height, width] = shape.slice(-2);
  const strides = stridesOf([shape[0], data.length / (shape[0] * height * width), height, width]);
  return gathered(data, {
    shape: [shape[0], height, width],
    strides: [strides[0], strides[2], 1],
    offset: at * strides[1],
  });
}
