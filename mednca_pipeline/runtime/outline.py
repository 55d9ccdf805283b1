"""Which cells of a level are computed: those at the outline of a structure, where the level above is not sure.

A cell of the level above is open if its largest probability is below 1 - eps, or if a neighbour along an axis has
another class. A cell of the next level is computed if an open cell lies within `halo` cells of the level above.
With regions, each of which has a probability of its own, a cell is sure if every region is above 1 - eps or below eps.
The class of the cell is then the set of regions above one half.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import InputError


@dataclass(frozen=True)
class Outline:
    """eps: the probability that a sure cell may leave to other classes. halo: in cells of the level above."""

    eps: float
    halo: int

    def __post_init__(self) -> None:
        if not (0 < self.eps < 1 and self.halo >= 0):
            raise InputError("outline", "eps between 0 and 1 and halo from 0", f"eps {self.eps}, halo {self.halo}")


def sure_and_class(logits: np.ndarray, sigmoid: bool, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """logits: (K, N) -> bool (N,), whether the cell is sure, and int (N,), its class."""
    if sigmoid:
        bound = np.log((1 - eps) / eps)
        return (np.abs(logits) >= bound).all(axis=0), (1 << np.arange(len(logits))) @ (logits > 0)
    total = np.exp(logits - logits.max(axis=0)).sum(axis=0)  # the largest probability is 1 / total
    return total <= 1 / (1 - eps), logits.argmax(axis=0)


def near_open(sure: np.ndarray, classes: np.ndarray, dim: int, halo: int) -> np.ndarray:
    """sure, classes: (N, *grid) of `dim` axes -> bool (N, *grid): the cells within `halo` cells of an open one."""
    is_open = ~sure
    for axis in range(classes.ndim - dim, classes.ndim):
        first, second = _pair(classes.ndim, axis)
        differs = classes[first] != classes[second]
        is_open[first] |= differs
        is_open[second] |= differs
    return grown(is_open, dim, halo)


def grown(mask: np.ndarray, dim: int, by: int) -> np.ndarray:
    """bool (N, *grid): `mask`, and all cells within `by` cells of it along each of the last `dim` axes."""
    for axis in range(mask.ndim - dim, mask.ndim):
        seen, mask = mask, mask.copy()
        for distance in range(1, min(by, mask.shape[axis] - 1) + 1):
            first, second = _pair(mask.ndim, axis, distance)
            mask[first] |= seen[second]
            mask[second] |= seen[first]
    return mask


def refined(array: np.ndarray, ratio: Sequence[int]) -> np.ndarray:
    """(N, *grid) -> (N, *grid * ratio), a copy: each cell repeated over the cells of the next level that lie in it."""
    leading = array.ndim - len(ratio)
    sides = array.shape[leading:]
    repeated = array.reshape(*array.shape[:leading], *(size for side in sides for size in (side, 1)))
    shape = [size for side, count in zip(sides, ratio, strict=True) for size in (side, count)]
    finer = [side * count for side, count in zip(sides, ratio, strict=True)]
    return np.broadcast_to(repeated, (*array.shape[:leading], *shape)).copy().reshape(*array.shape[:leading], *finer)


def _pair(ndim: int, axis: int, distance: int = 1) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The indices of all cells that have a neighbour `distance` further along `axis`, and of these neighbours."""
    before, after = [slice(None)] * ndim, [slice(None)] * ndim
    before[axis], after[axis] = slice(None, -distance), slice(distance, None)
    return tuple(before), tuple(after)
