/** The matrix products of cells, by ONNX Runtime in WebAssembly: the graphs of graphs/make_graphs.py. */

import * as ort from "onnxruntime-web/wasm";
import type { Rule } from "./rule";

/** The three graphs as bytes. */
export type Graphs = Record<"perceive" | "step" | "stepWithoutNorm", Uint8Array>;

/** What cells do with the rows that they see; M cells at once. */
export interface Cells {
  /** rows (M, 3^dim * image channels) -> the image's part of the hidden units (M, H). */
  perceive(rows: Float32Array): Promise<Float32Array>;
  /** rows (M, 3^dim * F), base (M, H) from `perceive` -> the update (M, F). */
  step(rows: Float32Array, base: Float32Array): Promise<Float32Array>;
}

export class Kernels {
  private constructor(
    private readonly perceive: ort.InferenceSession,
    private readonly norm: ort.InferenceSession,
    private readonly plain: ort.InferenceSession,
  ) {}

  /** runtime: ONNX Runtime's WebAssembly; without it Node.js reads its own copy. */
  static async load(graphs: Graphs, runtime?: Uint8Array): Promise<Kernels> {
    ort.env.wasm.numThreads = 1;
    if (runtime) ort.env.wasm.wasmBinary = runtime;
    const open = (bytes: Uint8Array) => ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    return new Kernels(await open(graphs.perceive), await open(graphs.step), await open(graphs.stepWithoutNorm));
  }

  /** The cells of one level. */
  cells(rule: Rule): Cells {
    const { hidden, free, norm } = rule;
    const tensor = (data: Float32Array, ...dims: number[]) => new ort.Tensor("float32", data, dims);
    const matrices = {
      update: tensor(rule.update, hidden, free),
      matrix: tensor(rule.fromState, rule.fromState.length / hidden, hidden),
    };
    const image = {
      matrix: tensor(rule.fromImage, rule.fromImage.length / hidden, hidden),
      bias: tensor(rule.bias, hidden),
    };
    const affine = norm && {
      eps: tensor(Float32Array.of(norm.eps), 1),
      gain: tensor(norm.gain, hidden),
      shift: tensor(norm.shift, hidden),
    };
    return {
      perceive: async (rows) => {
        const { hidden: found } = await this.perceive.run({
          ...image,
          rows: tensor(rows, (rows.length * hidden) / rule.fromImage.length, rule.fromImage.length / hidden),
        });
        return found.data as Float32Array;
      },
      step: async (rows, base) => {
        const count = base.length / hidden;
        const seen = { ...matrices, rows: tensor(rows, count, rows.length / count), base: tensor(base, count, hidden) };
        const { change } = await (affine ? this.norm.run({ ...seen, ...affine }) : this.plain.run(seen));
        return change.data as Float32Array;
      },
    };
  }
}
