/** Every cell on the graphics card, by ONNX Runtime with WebGPU: the graph that a bundle holds.
 *
 * Without the outline: labels may differ from mednca_predict's in a few voxels of ten thousand, as with its --everywhere.
 */

import type { InferenceSession } from "onnxruntime-web/jspi";
import { gathered, type Tensor } from "../image/array";
import type { Weights } from "./rule";

/** Whether this browser has what it takes: WebGPU with an adapter, and WebAssembly that can wait for it. */
export async function hasGraphics(): Promise<boolean> {
  const gpu = (navigator as { gpu?: { requestAdapter(): Promise<unknown> } }).gpu;
  return gpu !== undefined && "Suspending" in WebAssembly && (await gpu.requestAdapter().catch(() => null)) !== null;
}

export class Graphics {
  private constructor(
    private readonly ort: typeof import("onnxruntime-web/jspi"),
    private readonly session: InferenceSession,
  ) {}

  /** graph: network.onnx of a bundle, whose inputs are the image and the weights of a fold. runtime: as of Kernels. */
  static async open(graph: Uint8Array, runtime: Uint8Array): Promise<Graphics> {
    const ort = await import("onnxruntime-web/jspi");
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = runtime;
    return new Graphics(ort, await ort.InferenceSession.create(graph, { executionProviders: ["webgpu"] }));
  }

  /** Probabilities (K, N, *spatial) of a fold. image: (channels, N, *spatial) as the network sees it, padded. */
  async probabilities(image: Tensor, weights: Weights): Promise<Tensor> {
    const tensor = ({ data, shape }: Tensor) => new this.ort.Tensor("float32", data, [...shape]);
    const feeds = Object.fromEntries([...weights].map(([name, array]) => [name, tensor(array)]));
    const { probabilities } = await this.session.run({ ...feeds, image: tensor(swapped(image)) });
    return swapped({ data: probabilities.data as Float32Array, shape: probabilities.dims });
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

/** The first two axes in the other order. */
function swapped({ data, shape }: Tensor): Tensor {
  const [first, second, ...rest] = shape;
  const size = rest.reduce((total, side) => total * side, 1);
  const view = { shape: [second, first, size], strides: [size, second * size, 1], offset: 0 };
  return { data: gathered(data, view), shape: [second, first, ...rest] };
}
