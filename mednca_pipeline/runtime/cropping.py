"""Cropping to the part of an image that is not zero, and putting results back."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import EllipsisType

import numpy as np

Box = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Crop:
    """Keeps what lies in `box`, (start, stop) per spatial axis, of images of `shape`."""

    box: Box
    shape: tuple[int, ...]

    @classmethod
    def to_nonzero(cls, image: np.ndarray) -> "Crop":
        """To where any channel of (C, *spatial) is not zero; an image of zeros only keeps its whole extent."""
        return cls(nonzero_box(image), tuple(image.shape[1:]))

    @property
    def cropped_shape(self) -> tuple[int, ...]:
        return tuple(stop - start for start, stop in self.box)

    def forward(self, image: np.ndarray) -> np.ndarray:
        """(..., *shape) -> the view (..., *cropped_shape)."""
        return image[inside(self.box)]

    def forward_labels(self, labels: np.ndarray) -> np.ndarray:
        """(*shape) -> the view (*cropped_shape)."""
        return self.forward(labels)

    def inverse(self, volume: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """(..., *cropped_shape) -> (..., *shape) of the same type; `outside` where it was cropped."""
        whole = np.full((*volume.shape[: volume.ndim - len(self.shape)], *self.shape), outside, volume.dtype)
        whole[inside(self.box)] = volume
        return whole


def inside(box: Iterable[tuple[int, int]]) -> tuple[EllipsisType | slice, ...]:
    """The index of `box` along the last axes of an array."""
    return (..., *(slice(start, stop) for start, stop in box))


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
