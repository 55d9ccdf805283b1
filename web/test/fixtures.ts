import { readFileSync } from "node:fs";
import { expect } from "vitest";
import type { Numbers, Tensor } from "../src/image/array";
import { readSafetensors } from "../src/network/safetensors";

const FOLDER = new URL("fixtures/", import.meta.url);

export const file = (name: string) => new Uint8Array(readFileSync(new URL(name, FOLDER)));
export const cases = JSON.parse(new TextDecoder().decode(file("cases.json")));
const arrays = readSafetensors(file("arrays.safetensors"));

export function array(name: string): Tensor {
  return arrays.get(name)!;
}

/** The largest difference is at most `tolerance`. */
export function expectClose(found: Numbers, expected: Numbers, tolerance: number): void {
  expect(found.length).toBe(expected.length);
  let largest = 0;
  for (let at = 0; at < found.length; at++) largest = Math.max(largest, Math.abs(found[at] - expected[at]));
  expect(largest).toBeLessThanOrEqual(tolerance);
}
