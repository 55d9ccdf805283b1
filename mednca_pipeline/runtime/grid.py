"""The cells of one level: their indices with and without a border, their neighbours, and what they see of the image."""

import math
from collections.abc import Sequence
from itertools import product
from typing import Literal

import numpy as np

Border = Literal["reflect", "replicate", "zeros"]  # what a cell at the border sees beyond it
_PADDING: dict[Border, Literal["edge", "reflect", "constant"]] = {
    "replicate": "edge",
    "reflect": "reflect",
    "zeros": "constant",
}


class Grid:
    """The cells of one level, (N, *grid), with a border of one cell around each of the N grids."""

    def __init__(self, shape: tuple[int, ...], dim: int, border: Border) -> None:
        self.shape, self.dim, self.border = shape, dim, border
        self.padded_shape = (*shape[:-dim], *(side + 2 for side in shape[-dim:]))
        sides = self.padded_shape[-dim:]
        self.strides = [math.prod(sides[axis + 1 :]) for axis in range(dim)]
        self.around = np.array([np.dot(at, self.strides) for at in product((-1, 0, 1), repeat=dim)])

    def padded_index(self, cells: np.ndarray) -> np.ndarray:
        """Indices without the border -> with it."""
        return self._moved(cells, 1, self.shape, self.padded_shape)

    def index(self, cells: np.ndarray) -> np.ndarray:
        """Indices with the border, of cells inside of it -> without it."""
        return self._moved(cells, -1, self.padded_shape, self.shape)

    def _moved(self, cells: np.ndarray, by: int, shape: tuple[int, ...], other: tuple[int, ...]) -> np.ndarray:
        places, first = np.unravel_index(cells, shape), len(shape) - self.dim
        return np.ravel_multi_index((*places[:first], *(place + by for place in places[first:])), other)

    def with_neighbours(self, cells: np.ndarray) -> np.ndarray:
        """Sorted padded indices of these cells and of all their neighbours."""
        mask = np.zeros(math.prod(self.padded_shape), bool)
        for offset in self.around:
            mask[cells + offset] = True
        return np.flatnonzero(mask)

    def border_cells(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of these cells lie in the border, as positions in `cells`, and the inner cell that each repeats."""
        source = cells.copy()
        for side, stride in zip(self.shape[-self.dim :], self.strides, strict=True):
            place = cells // stride % (side + 2)
            repeats = stride * (2 if self.border == "reflect" else 1)
            source[place == 0] += repeats
            source[place == side + 1] -= repeats
        at = np.flatnonzero(source != cells)
        return at, source[at]


class SeenImage:
    """The image at one level, of `shape` (N, *grid). `cells` are its rows: (all cells and their border, channels)."""

    def __init__(self, image: np.ndarray, dim: int, border: Border) -> None:
        self.shape = image.shape[1:]
        self.grid = Grid(self.shape, dim, border)
        widths = [(0, 0)] * (len(self.shape) - dim) + [(1, 1)] * dim
        self.cells = np.empty((math.prod(self.grid.padded_shape), len(image)), np.float32)
        for index, channel in enumerate(image):  # one at a time: the image is as large as all the rest
            self.cells[:, index] = np.pad(channel, widths, mode=_PADDING[border]).reshape(-1)

    def rows(self, cells: np.ndarray) -> np.ndarray:
        """cells: indices (M,) in the padded grid. Returns what they see of the image, (M, 3^dim * channels)."""
        return triples(self.cells)[cells[:, None] + self.grid.around[::3]].reshape(len(cells), -1)


def triples(cells: np.ndarray) -> np.ndarray:
    """(N, C), contiguous -> (N - 2, 3 * C), a view: each cell and the two after it."""
    channels = cells.shape[1]  # instead of cells.strides: an axis of length 1 may have any stride
    strides = (channels * cells.itemsize, cells.itemsize)
    return np.lib.stride_tricks.as_strided(cells, (len(cells) - 2, 3 * channels), strides, writeable=False)


def averaged(image: np.ndarray, ratio: Sequence[int]) -> np.ndarray:
    """(C, N, *spatial) averaged over cells of `ratio` voxels."""
    if set(ratio) == {1}:
        return image
    dim = len(ratio)
    for axis, count in enumerate(ratio, start=image.ndim - dim):
        if count > 1:
            parts = [image[(slice(None),) * axis + (slice(first, None, count),)] for first in range(count)]
            image = sum(parts[1:], parts[0]) / np.float32(count)
    return image
