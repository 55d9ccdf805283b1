import { readFileSync } from "node:fs";
import { Kernels } from "../src/network/kernels";

const graph = (name: string) => new Uint8Array(readFileSync(new URL(`../graphs/${name}.onnx`, import.meta.url)));

export const kernels = Kernels.load({
  perceive: graph("perceive"),
  step: graph("step"),
  stepWithoutNorm: graph("step_without_norm"),
});
