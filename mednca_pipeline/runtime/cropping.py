"""Cropping to the part of an image that is not zero, and putting results back."""

import numpy as np

Box = tuple[tuple[int, int], ...]


def nonzero_box(array: np.ndarray) -> Box:
    """Bounding box ((start, stop) per spatial axis) of where any channel of (C, *spatial) is not zero.

    An image of zeros only keeps its whole extent.
    """
    occupied = (array != 0).any(axis=0)
    box = []
    for axis in range(occupied.ndim):
        along = np.flatnonzero(occupied.any(axis=tuple(other for other in range(occupied.ndim) if other != axis)))
        if along.size == 0:
            return tuple((0, size) for size in occupied.shape)
        box.append((int(along[0]), int(along[-1]) + 1))
    return tuple(box)


def crop_to(array: np.ndarray, box: Box) -> np.ndarray:
    """The view of (C, *spatial) inside `box`."""
    return array[(slice(None), *(slice(start, stop) for start, stop in box))]


def put_back(array: np.ndarray, box: Box, shape: tuple[int, ...], outside: float = 0) -> np.ndarray:
    """An array of `shape` holding `array` inside `box` and `outside` elsewhere."""
    whole = np.full(shape, outside, array.dtype)
    whole[tuple(slice(start, stop) for start, stop in box)] = array
    return whole
