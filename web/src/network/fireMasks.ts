/** Which cells fire in a step of a random run: Philox 4x32-10, bit-identical to runtime/fire_masks.py.
 *
 * key = the seed; counter = (cell // 4, step, level, run); output word = cell % 4, where cell is the row-major index in
 * the level's whole grid. The cell fires if its word < fireRate * 2^32.
 */

export interface RandomRun {
  readonly seed: number;
  readonly number: number;
  readonly fireRate: number;
}

const ROUNDS = 10;
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57];
const WEYL = [0x9e3779b9, 0xbb67ae85];

/** Four counter words and two key words, all 32 bits -> four output words. */
export function philox4x32(
  key: readonly [number, number],
  counter: readonly [number, number, number, number],
): number[] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = highProduct(MULTIPLIERS[0], c0);
    const high1 = highProduct(MULTIPLIERS[1], c2);
    const low0 = Math.imul(MULTIPLIERS[0], c0);
    const low1 = Math.imul(MULTIPLIERS[1], c2);
    [c0, c1, c2, c3] = [high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0];
    k0 = (k0 + WEYL[0]) | 0;
    k1 = (k1 + WEYL[1]) | 0;
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
}

/** Which of `cells`, increasing indices in the level's whole grid, fire in a step: positions in `cells`. */
export function firing(run: RandomRun, level: number, step: number, cells: Int32Array, first: number): Int32Array {
  const limit = Math.ceil(run.fireRate * 2 ** 32);
  const key = [run.seed >>> 0, Math.floor(run.seed / 2 ** 32) >>> 0] as const;
  const found = new Int32Array(cells.length);
  let count = 0;
  let block = -1;
  let words: number[] = [];
  for (let at = 0; at < cells.length; at++) {
    const cell = cells[at] + first;
    if (cell >>> 2 !== block) {
      block = cell >>> 2;
      words = philox4x32(key, [block, step, level, run.number]);
    }
    if (words[cell & 3] < limit) found[count++] = at;
  }
  return found.subarray(0, count);
}

/** The high 32 bits of the product of two words of 32 bits. */
function highProduct(a: number, b: number): number {
  const [aHigh, aLow, bHigh, bLow] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >>> 16); // below 2^32 + 2^16: exact
  const carried = aLow * bHigh + (middle % 65536);
  return (aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(carried / 65536)) | 0;
}
