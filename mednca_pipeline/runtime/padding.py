"""Padding up to a size that a network can take, by replicating edges."""

from collections.abc import Sequence
from types import EllipsisType

import numpy as np

CropBack = tuple[EllipsisType | slice, ...]


def padded_shape(shape: Sequence[int], minimum: Sequence[int], multiple: int | Sequence[int]) -> tuple[int, ...]:
    """The smallest shape of at least `shape` and `minimum` whose sizes are whole multiples of `multiple`."""
    multiples = [multiple] * len(minimum) if isinstance(multiple, int) else multiple
    return tuple(
        -(-max(size, least) // factor) * factor for size, least, factor in zip(shape, minimum, multiples, strict=True)
    )


def pad_to(array: np.ndarray, minimum: Sequence[int], multiple: int | Sequence[int] = 1) -> tuple[np.ndarray, CropBack]:
    """Replicates the edges of the last len(minimum) axes, as much on either side (the odd voxel goes to the end).

    Returns (padded, slices) with `padded[slices]` equal to `array`: the slices begin with an Ellipsis, so that they fit
    any number of leading axes. The array itself comes back when it is large enough already.
    """
    leading = array.ndim - len(minimum)
    shape = array.shape[leading:]
    target = padded_shape(shape, minimum, multiple)
    starts = [(new - size) // 2 for size, new in zip(shape, target, strict=True)]
    slices = (..., *(slice(start, start + size) for start, size in zip(starts, shape, strict=True)))
    if target == shape:
        return array, slices
    widths = [(start, new - size - start) for start, size, new in zip(starts, shape, target, strict=True)]
    return np.pad(array, [(0, 0)] * leading + widths, mode="edge"), slices
