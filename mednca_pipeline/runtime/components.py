"""The connected components of a mask, in NumPy alone.

SciPy has `ndimage.label`, but is as large as all else that prediction needs. A mask is taken as its runs, the
stretches of set cells along the last axis. Runs of neighbouring lines that touch are joined until nothing changes.
"""

from itertools import product

import numpy as np

from .cropping import inside, nonzero_box


def outside_largest(mask: np.ndarray, n: int = 1) -> tuple[np.ndarray, int]:
    """The voxels of a bool mask that are not in its `n` largest components, and how many components these are.

    Voxels that touch by a face, an edge or a corner are of one component (8-connected in 2D, 26-connected in 3D). Of
    equally large components the first in memory order counts as larger.
    """
    outside = np.zeros_like(mask)
    box = inside(nonzero_box(mask[None]))
    padded = np.pad(mask[box], 1)  # so that a run ends with its line, and every line has neighbours
    starts, stops = _runs(padded)
    component = _joined(starts, stops, padded.shape)
    voxels = np.bincount(component, stops - starts)
    islands = np.argsort(-voxels, kind="stable")[n:]
    if not islands.size:
        return outside, 0
    stray = np.isin(component, islands)
    edges = np.zeros(padded.size + 1, np.int8)
    edges[starts[stray]], edges[stops[stray]] = 1, -1
    filled = np.cumsum(edges[:-1], dtype=np.int8).astype(bool).reshape(padded.shape)
    outside[box] = filled[(slice(1, -1),) * mask.ndim]
    return outside, islands.size


def _runs(padded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the runs of a mask with an empty border start and stop, as positions in its flat order."""
    changes = np.flatnonzero(np.diff(padded.reshape(-1).view(np.int8))) + 1
    return changes[::2], changes[1::2]


def _joined(starts: np.ndarray, stops: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The component of each run, numbered by first appearance in memory order."""
    above, below = _touching(starts, stops, shape)
    root = np.arange(starts.size)
    while True:
        first, second = root[above], root[below]
        apart = first != second
        if not apart.any():
            return np.unique(root, return_inverse=True)[1]
        above, below, first, second = above[apart], below[apart], first[apart], second[apart]
        np.minimum.at(root, np.maximum(first, second), np.minimum(first, second))
        while not np.array_equal(root, further := root[root]):
            root = further


def _touching(starts: np.ndarray, stops: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs of neighbouring lines that touch, corners included."""
    strides = np.cumprod((1, *shape[:0:-1]))[::-1]
    ahead = [step for step in product((-1, 0, 1), repeat=len(shape) - 1) if step > (0,) * len(step)]
    pairs = []
    for step in ahead:
        offset = int(np.dot(step, strides[:-1]))
        low = np.searchsorted(stops, starts + offset, "left")
        high = np.searchsorted(starts, stops + offset, "right")
        number = np.maximum(high - low, 0)
        run = np.repeat(np.arange(starts.size), number)
        within = np.arange(run.size) - np.repeat(np.cumsum(number) - number, number)
        pairs.append((run, low[run] + within))
    if not pairs:
        return np.empty(0, int), np.empty(0, int)
    above, below = map(np.concatenate, zip(*pairs, strict=True))
    return above, below
