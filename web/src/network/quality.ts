/** The quality score and what follows from it: as runtime/quality.py. */

import { product, type Tensor } from "../image/array";
import { type Moment, probabilities } from "./automaton";
import type { Architecture } from "./rule";

export type Flag = "ok" | "review" | "empty" | "unproven" | "uncalibrated" | "not available";

/** What a model's validation cases say of its predictions. null: nothing is known. */
export interface Standing {
  readonly validation: { readonly dice: number; readonly cases: number } | null;
  readonly threshold: { readonly value: number; readonly rule: string } | null;
}

export interface Verdict {
  readonly flag: Flag;
  readonly reason: string;
}

const PROVEN_DICE = 0.7;

/** score: NaN where there is none. empty: nothing was segmented. */
export function judge({ validation, threshold }: Standing, score: number | null, empty: boolean): Verdict {
  if (empty) return { flag: "empty", reason: "nothing was segmented" };
  if (score === null) return { flag: "not available", reason: "no quality score" };
  if (!threshold || !validation) return { flag: "uncalibrated", reason: "no validated fold says what the score means" };
  if (!(score <= threshold.value)) return { flag: "review", reason: `score above ${threshold.value.toFixed(4)}` };
  if (validation.dice < PROVEN_DICE)
    return { flag: "unproven", reason: `the model's validation Dice is below ${PROVEN_DICE}` };
  return { flag: "ok", reason: `score at most ${threshold.value.toFixed(4)}` };
}

/** How far a random run lies from the expected update, added up over parts of an image. */
export class Deviation {
  private difference = 0;
  private expected = 0;

  /** Of the moment after the last level that is compared. */
  add({ grid, state, drawn }: Moment, form: Architecture): void {
    const expected = foreground(probabilities({ grid, state }, form), form.sigmoid);
    const found = foreground(probabilities({ grid, state: drawn! }, form), form.sigmoid);
    expected.forEach((value, cell) => {
      this.expected += value;
      this.difference += Math.abs(value - found[cell]);
    });
  }

  /** Of the foreground; NaN where nothing is expected. */
  get score(): number {
    return this.expected > 0 ? this.difference / this.expected : NaN;
  }
}

/** 1 - background, or the most probable region. */
function foreground(maps: Tensor, sigmoid: boolean): Float32Array {
  const cells = product(maps.shape.slice(1));
  if (!sigmoid) return maps.data.subarray(0, cells).map((background) => 1 - background);
  const largest = new Float32Array(cells);
  maps.data.forEach((value, at) => (largest[at % cells] = Math.max(largest[at % cells], value)));
  return largest;
}
