/** A Med-NCA that computes the cells at the outline and no others: as runtime/light_nca.py. */

import { product, stridesOf, type Tensor } from "../image/array";
import { firing, type RandomRun } from "./fireMasks";
import { averaged, Grid } from "./grid";
import type { Cells, Kernels } from "./kernels";
import { nearOpen, type Outline } from "./outline";
import type { Architecture, Rule } from "./rule";

const ROWS = 2048; // cells at once: their neighbourhoods and hidden units stay in the processor's cache
const BASE_VALUES = 2 ** 25; // up to so many the image's part of the hidden units is kept; else each step computes it anew

/** One trained fold. */
export interface Automaton {
  readonly form: Architecture;
  readonly rules: readonly Rule[];
  /** Which cells are computed; null: all. */
  readonly outline: Outline | null;
}

/** What is known after a step, or before a level's first one (step 0). Steps of a level share their arrays. */
export interface Moment {
  readonly level: number;
  readonly step: number;
  readonly grid: Grid;
  /** Rows (cells with the border, F) of the expected update, and of the random run if there is one. */
  readonly state: Float32Array;
  readonly drawn: Float32Array | null;
  /** Cells without the border that this level computes. */
  readonly cells: Int32Array;
}

/** run: a random run beside the expected update, which decides for both which cells are computed. runLevels: the run
 * ends after so many levels. first: the number of the image's first slice in its volume.
 */
export interface Asked {
  readonly run?: RandomRun;
  readonly runLevels?: number;
  readonly first?: number;
}

/** What each level sees of an image (channels, N, *spatial), coarsest first. All folds of a model see the same. */
export function pyramid(form: Architecture, image: Tensor): Tensor[] {
  const seen: Tensor[] = [];
  let [finer, current] = [form.levels[0].factor.map(() => 1), image];
  for (const { factor } of [...form.levels].reverse()) {
    current = averaged(
      current,
      factor.map((side, axis) => side / finer[axis]),
    );
    finer = [...factor];
    seen.unshift(current);
  }
  return seen;
}

/** seen: from `pyramid`. */
export async function* moments(
  automaton: Automaton,
  kernels: Kernels,
  seen: readonly Tensor[],
  asked: Asked = {},
): AsyncGenerator<Moment> {
  const { form, rules, outline } = automaton;
  const { first = 0, runLevels = Infinity } = asked;
  let before: Moment | null = null;
  for (const [level, { factor, steps }] of form.levels.entries()) {
    const rule = rules[level];
    const grid: Grid = new Grid(seen[level].shape.slice(1), form.border);
    const parents: Int32Array | null =
      before &&
      parentsOf(
        grid,
        before.grid,
        form.levels[level - 1].factor.map((above, axis) => above / factor[axis]),
      );
    const start = (rows: Float32Array | null): Float32Array =>
      parents && rows ? inherited(rows, grid, parents, rule.free) : new Float32Array(grid.size * rule.free);
    const cells: Int32Array =
      before && parents && outline ? atOutline(before, parents, form, outline) : Int32Array.from(grid.inner.keys());
    const state = start(before?.state ?? null);
    const run = level < runLevels ? (asked.run ?? null) : null;
    const drawn = run && start(before?.drawn ?? null);
    const moment = (step: number): Moment => ({ level, step, grid, state, drawn, cells });
    yield (before = moment(0));
    const stepper = new Stepper(rule, kernels.cells(rule), grid, cells, seen[level]);
    for (let step = 0; step < steps; step++) {
      await stepper.step(state, form.fireRate, null);
      if (drawn && run)
        await stepper.step(drawn, 1, firing(run, level, step, cells, first * product(grid.shape.slice(1))));
      yield (before = moment(step + 1));
    }
  }
}

/** Probabilities (K, N, *grid) of a state. */
export function probabilities({ state, grid }: Pick<Moment, "state" | "grid">, form: Architecture): Tensor {
  const [cells, outputs, free] = [grid.inner.length, form.nOutputs, form.channels - form.nImage];
  const data = new Float32Array(outputs * cells);
  for (let cell = 0; cell < cells; cell++) {
    const at = grid.inner[cell] * free;
    if (form.sigmoid) {
      for (let output = 0; output < outputs; output++)
        data[output * cells + cell] = 1 / (1 + Math.exp(-state[at + output]));
      continue;
    }
    let [largest, total] = [-Infinity, 0];
    for (let output = 0; output < outputs; output++) largest = Math.max(largest, state[at + output]);
    for (let output = 0; output < outputs; output++) total += Math.exp(state[at + output] - largest);
    for (let output = 0; output < outputs; output++)
      data[output * cells + cell] = Math.exp(state[at + output] - largest) / total;
  }
  return { data, shape: [outputs, ...grid.shape] };
}

/** One level's steps in some of its cells. All others keep what they have. */
class Stepper {
  private readonly changes: Float32Array;
  private readonly image: Float32Array;
  private readonly channels: number;
  private readonly base: Float32Array | null;
  private known = 0; // how many cells have their base

  constructor(
    private readonly rule: Rule,
    private readonly kernel: Cells,
    private readonly grid: Grid,
    private readonly cells: Int32Array,
    image: Tensor,
  ) {
    this.changes = new Float32Array(cells.length * rule.free);
    this.channels = image.shape[0];
    this.image = grid.rows(image);
    this.base = cells.length * rule.hidden <= BASE_VALUES ? new Float32Array(cells.length * rule.hidden) : null;
  }

  /** Adds `rate` times the update. chosen: positions in `cells` of those that fire; null: all. */
  async step(state: Float32Array, rate: number, chosen: Int32Array | null): Promise<void> {
    const { grid, changes } = this;
    const { free } = this.rule;
    const count = chosen ? chosen.length : this.cells.length;
    grid.fillBorder(state, free);
    for (let start = 0; start < count; start += ROWS) {
      const stop = Math.min(start + ROWS, count);
      const at = chosen
        ? chosen.subarray(start, stop)
        : Int32Array.from({ length: stop - start }, (_, index) => start + index);
      changes.set(await this.kernel.step(this.neighbours(state, free, at), await this.baseOf(at)), start * free);
    }
    for (let number = 0; number < count; number++) {
      const row = grid.inner[this.cells[chosen ? chosen[number] : number]] * free;
      for (let channel = 0; channel < free; channel++) state[row + channel] += rate * changes[number * free + channel];
    }
  }

  /** The image's part of the hidden units of these cells. The first step, of all cells in order, makes it. */
  private async baseOf(at: Int32Array): Promise<Float32Array> {
    const { base, rule } = this;
    if (!base) return this.kernel.perceive(this.neighbours(this.image, this.channels, at));
    if (this.known < this.cells.length) {
      base.set(await this.kernel.perceive(this.neighbours(this.image, this.channels, at)), at[0] * rule.hidden);
      this.known = at[at.length - 1] + 1;
    }
    const consecutive = at[at.length - 1] - at[0] === at.length - 1;
    if (consecutive) return base.subarray(at[0] * rule.hidden, (at[0] + at.length) * rule.hidden);
    const rows = new Float32Array(at.length * rule.hidden);
    at.forEach((cell, index) =>
      rows.set(base.subarray(cell * rule.hidden, (cell + 1) * rule.hidden), index * rule.hidden),
    );
    return rows;
  }

  /** What cells see of rows (cells with the border, channels): (M, 3^dim * channels). at: positions in `cells`. */
  private neighbours(rows: Float32Array, channels: number, at: Int32Array): Float32Array {
    const { grid, cells } = this;
    const around = grid.around;
    const run = 3 * channels; // three neighbours along the last axis lie together
    const seen = new Float32Array(at.length * around.length * channels);
    let target = 0;
    for (let number = 0; number < at.length; number++) {
      const cell = grid.inner[cells[at[number]]];
      for (let neighbour = 0; neighbour < around.length; neighbour += 3) {
        const source = (cell + around[neighbour]) * channels;
        for (let value = 0; value < run; value++) seen[target + value] = rows[source + value];
        target += run;
      }
    }
    return seen;
  }
}

/** Per cell without the border, the place with the border of the cell above that it lies in. */
function parentsOf(grid: Grid, above: Grid, ratio: readonly number[]): Int32Array {
  const parents = new Int32Array(grid.inner.length);
  const strides = stridesOf(above.shape);
  const places = stridesOf(grid.shape);
  for (let cell = 0; cell < parents.length; cell++) {
    let parent = 0;
    for (let axis = 0; axis < places.length; axis++) {
      const place = Math.floor(cell / places[axis]) % grid.shape[axis];
      parent += strides[axis] * (axis ? Math.floor(place / ratio[axis - 1]) : place);
    }
    parents[cell] = above.inner[parent];
  }
  return parents;
}

function inherited(rows: Float32Array, grid: Grid, parents: Int32Array, free: number): Float32Array {
  const state = new Float32Array(grid.size * free);
  for (let cell = 0; cell < parents.length; cell++)
    for (let channel = 0; channel < free; channel++)
      state[grid.inner[cell] * free + channel] = rows[parents[cell] * free + channel];
  return state;
}

function atOutline(above: Moment, parents: Int32Array, form: Architecture, outline: Outline): Int32Array {
  const active = nearOpen(above, form, outline);
  const withBorder = new Uint8Array(above.grid.size);
  active.forEach((value, cell) => (withBorder[above.grid.inner[cell]] = value));
  return Int32Array.from(parents.keys()).filter((cell) => withBorder[parents[cell]]);
}
