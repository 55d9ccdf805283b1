/** What the page asks of its worker: models and images stay here, and only results go back. */

import * as comlink from "comlink";
import gpuRuntime from "onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?gz";
import cpuRuntime from "onnxruntime-web/ort-wasm-simd-threaded.wasm?gz";
import perceive from "../graphs/perceive.onnx?url";
import step from "../graphs/step.onnx?url";
import stepWithoutNorm from "../graphs/step_without_norm.onnx?url";
import { InputError } from "./errors";
import { gunzip, isGzip } from "./image/gzip";
import { type Image, readNifti, stacked, writeMask } from "./image/nifti";
import { type Film, film } from "./network/film";
import type { Prepared } from "./network/foldAverage";
import { Graphics, hasGraphics } from "./network/graphics";
import { Kernels } from "./network/kernels";
import { type Model, readModel } from "./network/model";
import { prepare, segment, type Segmentation } from "./segment";

export interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What a person wants to know of a model. */
export interface ModelFacts extends Pick<Model, "dataset" | "name" | "channelNames" | "labels" | "standing" | "card"> {
  readonly folds: number;
}

/** mask: a .nii.gz file. slices: of the network's grid. slice: the one with most foreground. */
export interface Result extends Omit<Segmentation, "labels" | "mean"> {
  readonly mask: Uint8Array;
  readonly slices: number;
  readonly slice: number;
  /** Whether volumes are areas in cm2, of a 2D image. */
  readonly areas: boolean;
}

class Segmenter {
  private model: Model | null = null;
  private image: Image | null = null;
  private prepared: Prepared | null = null;
  private graphics: Graphics | null = null;
  private readonly kernels = loadKernels();

  async openModel({ name, bytes }: NamedBytes): Promise<ModelFacts> {
    const model = await named(name, () => readModel(bytes));
    await this.graphics?.release();
    [this.model, this.prepared, this.graphics] = [model, null, null];
    const { dataset, channelNames, labels, standing, card } = model;
    return { dataset, name: model.name, channelNames, labels, standing, card, folds: model.folds.length };
  }

  /** One file for each channel, in order. */
  async openImage(files: readonly NamedBytes[]): Promise<void> {
    const images: Image[] = [];
    for (const { name, bytes } of files) images.push(await named(name, () => readNifti(bytes)));
    this.image = await named(files[0].name, async () => stacked(images));
    this.prepared = null;
  }

  /** Whether `segment` can use the graphics card for the opened model. */
  async hasGraphics(): Promise<boolean> {
    return this.model?.graph !== null && (await hasGraphics());
  }

  async segment(everyCell: boolean, progress: (share: number) => void): Promise<Result> {
    const [model, image] = this.opened();
    if (everyCell && model.graph) this.graphics ??= await Graphics.open(model.graph, await unpacked(gpuRuntime));
    const engines = { kernels: await this.kernels, graphics: everyCell ? this.graphics : null };
    let told = 0;
    const { labels, mean, ...rest } = await segment(model, engines, image, (share) => {
      if (share - told < 0.05 && share < 1) return;
      told = share;
      progress(share);
    });
    const slice = busiest(mean.data, mean.shape, model.form.sigmoid);
    return { ...rest, mask: await writeMask(labels, image), slices: mean.shape[1], slice, areas: model.axes === 2 };
  }

  /** The cells of one slice of the network's grid. */
  async film(slice: number): Promise<Film> {
    const [model, image] = this.opened();
    this.prepared ??= prepare(model, image);
    return film(model, await this.kernels, this.prepared, slice);
  }

  private opened(): [Model, Image] {
    if (!this.model || !this.image)
      throw new InputError("", "a model and an image", this.model ? "no image" : "no model");
    return [this.model, this.image];
  }
}

async function loadKernels(): Promise<Kernels> {
  const graphs = {
    perceive: await bytesAt(perceive),
    step: await bytesAt(step),
    stepWithoutNorm: await bytesAt(stepWithoutNorm),
  };
  return Kernels.load(graphs, await unpacked(cpuRuntime));
}

async function bytesAt(url: string): Promise<Uint8Array> {
  return new Uint8Array(await (await fetch(url)).arrayBuffer());
}

/** A file in gzip's form; some servers unpack it on the way. */
async function unpacked(url: string): Promise<Uint8Array> {
  const bytes = await bytesAt(url);
  return isGzip(bytes) ? gunzip(bytes) : bytes;
}

async function named<T>(name: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof InputError ? error.at(name) : error;
  }
}

/** The slice of probabilities (K, S, H, W) with most foreground. */
function busiest(data: Float32Array, [outputs, slices, height, width]: readonly number[], sigmoid: boolean): number {
  const size = height * width;
  let [best, most] = [0, -1];
  for (let slice = 0; slice < slices; slice++) {
    let sum = 0;
    for (let output = sigmoid ? 0 : 1; output < outputs; output++) {
      const start = (output * slices + slice) * size;
      for (let at = start; at < start + size; at++) sum += data[at];
    }
    if (sum > most) [best, most] = [slice, sum];
  }
  return best;
}

export type SegmenterType = Segmenter;
comlink.expose(new Segmenter());
