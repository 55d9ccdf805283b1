"""What a network sees of a preprocessed image: padded, with adjacent slices and position, slices in batches."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from .errors import InputError
from .padding import Pad
from .position import position_channels
from .records import Between, Positive, Side
from .slices import with_adjacent

CELLS_PER_BATCH = 2**18  # pixels of the slices that are predicted together: a few hundred MB at most


@dataclass(frozen=True)
class InputFormat:
    """How a network takes its images.

    dim: 2 for slices, 3 for volumes. image_size: smaller images are padded to this size by repeating their edges.
    factor: all sides are multiples of it. adjacent_slices: number of slices on either side that are further channels.
    position: sides of a typical image where the network sees the position of its voxels, else ().
    """

    dim: Annotated[int, Between(2, 3)]
    image_size: tuple[Side, ...]
    factor: tuple[Side, ...]
    adjacent_slices: Annotated[int, Between(0, 100)]
    position: tuple[Positive, ...]

    def __post_init__(self) -> None:
        for name in ("image_size", "factor"):
            if len(getattr(self, name)) != self.dim:
                raise InputError(name, f"{self.dim} sides", str(len(getattr(self, name))))
        if len(self.position) not in (0, self.dim, 3):
            raise InputError("position", "the sides of an image, or none", f"{len(self.position)} sides")


@dataclass(frozen=True)
class Part:
    """Some slices of an image, or a volume. array: (channels, slices, H, W), padded by `pad`.

    first: number of the first slice. total: number of all slices.
    """

    array: np.ndarray
    pad: Pad
    first: int
    total: int


def parts(image: np.ndarray, seen: InputFormat) -> Iterator[Part]:
    """The parts in which a preprocessed image (C, S, H, W), float32, goes through a network."""
    pad = Pad.to(image.shape[-seen.dim :], seen.image_size, seen.factor)
    starts = (0,) * (3 - seen.dim) + pad.starts  # where the image begins in the padded one
    padded_shape = (*image.shape[1 : 4 - seen.dim], *pad.padded_shape)
    box = [(-start, side - start) for start, side in zip(starts, padded_shape, strict=True)]
    total = padded_shape[0]
    at_once = total if seen.dim == 3 else max(1, CELLS_PER_BATCH // math.prod(padded_shape[1:]))
    for first in range(0, total, at_once):
        last = min(first + at_once, total)
        if seen.dim == 2:
            box[0] = (first, last)
        yield Part(_channels(image, pad, box, seen), pad, first, total)  # held by the caller alone


def _channels(image: np.ndarray, pad: Pad, box: list[tuple[int, int]], seen: InputFormat) -> np.ndarray:
    """(channels, slices, H, W): what the network sees in `box`, relative to `image` (C, S, H, W) inside its padding."""
    array = pad.forward(with_adjacent(image, seen.adjacent_slices, range(*box[0])) if seen.dim == 2 else image)
    if seen.position:
        array = np.concatenate([array, position_channels(image.shape[1:], box, seen.position)])
    return array
