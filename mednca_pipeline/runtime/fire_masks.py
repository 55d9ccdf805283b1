"""Which cells fire in a step: one specified generator, bit-identical on every backend and in every tiling.

Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). key = the 64-bit seed, low word
first; counter = (cell // 4, step, level, run); output word = cell % 4, where cell is the row-major index in the level's
whole grid. The cell fires if its word < fire_rate * 2^32.
"""

import math
from dataclasses import dataclass

import numpy as np

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_WORD = 0xFFFFFFFF
_HALF, _LOW = np.uint64(32), np.uint64(_WORD)
_CHUNK = 8192  # counters at once: the working arrays stay in the processor's cache


@dataclass(frozen=True)
class RandomRun:
    """One random run of a network. fire_rate: the probability that a cell fires in a step."""

    seed: int
    number: int
    fire_rate: float

    @property
    def limit(self) -> int:
        """A cell fires if its word, which is whole, is below this: just if it is below fire_rate * 2^32."""
        return math.ceil(self.fire_rate * 2**32)


def philox4x32(key: tuple[int, int], counter: tuple[np.ndarray | int, ...]) -> tuple[np.ndarray, ...]:
    """Ten rounds of Philox 4x32 on four counter words (broadcastable, each below 2^32).

    key: (low, high) 32-bit words. Returns the four output words as uint64 arrays below 2^32.
    """
    c0, c1, c2, c3 = (np.asarray(word, np.uint64) for word in counter)
    for number in range(_ROUNDS):
        key0, key1 = (np.uint64((word + number * weyl) & _WORD) for word, weyl in zip(key, _WEYL, strict=True))
        product0, product1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0 = (product1 >> _HALF) ^ (c1 ^ key0)
        c2 = (product0 >> _HALF) ^ (c3 ^ key1)
        c1, c3 = product1 & _LOW, product0 & _LOW
    return c0, c1, c2, c3


def fire_masks(
    run: RandomRun, level: int, steps: range, shape: tuple[int, ...], window: tuple[slice, ...] | None = None
) -> np.ndarray:
    """bool (steps, *shape): the cells that fire in these steps of one level.

    shape: the level's whole grid (slices included).
    window: only this part of the grid, one slice (of stride 1) per axis; the values are those of the whole mask.
    """
    bounds = [part.indices(size)[:2] for part, size in zip(window or [slice(None)] * len(shape), shape, strict=True)]
    wanted = tuple(max(0, stop - start) for start, stop in bounds)
    if not 0 < run.limit < 2**32 or 0 in wanted:
        return np.full((len(steps), *wanted), run.limit > 0)
    starts, length = _rows(shape, bounds)
    blocks = starts[:, None] // 4 + np.arange((length + 6) // 4)  # (rows, blocks): counters that touch the row
    fires = _fires(run, level, steps, blocks.reshape(-1)).reshape(len(steps), len(starts), -1)
    if len(starts) == 1:
        offset = int(starts[0] % 4)
        return fires[:, 0, offset : offset + length].reshape(len(steps), *wanted)
    columns = starts[:, None] % 4 + np.arange(length)  # (rows, length)
    return np.take_along_axis(fires, columns[None], axis=2).reshape(len(steps), *wanted)


def fires_at(run: RandomRun, level: int, steps: range, cells: np.ndarray) -> np.ndarray:
    """bool (steps, M): which of `cells`, increasing row-major indices (M,) in the whole grid, fire in each step."""
    if not 0 < run.limit < 2**32 or not cells.size:
        return np.full((len(steps), *cells.shape), run.limit > 0)
    blocks = cells >> 2
    first = np.flatnonzero(np.diff(blocks, prepend=-1))  # of the cells that share a counter
    fires = _fires(run, level, steps, blocks[first]).reshape(len(steps), -1)
    counter = np.repeat(np.arange(len(first)), np.diff(first, append=len(blocks)))
    return np.take(fires, 4 * counter + (cells & 3), axis=1)


def _rows(shape: tuple[int, ...], bounds: list[tuple[int, int]]) -> tuple[np.ndarray, int]:
    """(first cell of each run of neighbouring cells in the window, length of these runs)."""
    axis = len(shape) - 1
    while axis > 0 and bounds[axis] == (0, shape[axis]):  # an axis taken whole continues the rows of the one before
        axis -= 1
    inner = math.prod(shape[axis + 1 :])
    start, stop = bounds[axis]
    cells = np.zeros(1, np.int64)
    for size, (first, last) in zip(shape[:axis], bounds[:axis], strict=True):
        cells = (cells[:, None] * size + np.arange(first, last)).reshape(-1)
    return (cells * shape[axis] + start) * inner, (stop - start) * inner


def _fires(run: RandomRun, level: int, steps: range, blocks: np.ndarray) -> np.ndarray:
    """bool (steps, len(blocks), 4): which of the four cells of each block fire."""
    key = (int(run.seed) & _WORD, (int(run.seed) >> 32) & _WORD)
    fires = np.empty((len(steps), len(blocks), 4), bool)
    blocks = blocks.astype(np.uint64)
    step_words = np.arange(steps.start, steps.stop, dtype=np.uint64)
    steps_at_once = max(1, _CHUNK // len(blocks))
    for first_step in range(0, len(steps), steps_at_once):
        some_steps = slice(first_step, first_step + steps_at_once)
        for first in range(0, len(blocks), _CHUNK):
            some = slice(first, first + _CHUNK)
            words = philox4x32(key, (blocks[None, some], step_words[some_steps, None], level, run.number))
            for index, word in enumerate(words):
                np.less(word, np.uint64(run.limit), out=fires[some_steps, some, index])
    return fires
