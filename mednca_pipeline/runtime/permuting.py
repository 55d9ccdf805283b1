"""Permuting the axes of an image so that the slices of a 2D configuration come first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True)
class Permute:
    """Brings the LPS axes (z, y, x) into the order (S, H, W).

    order: the LPS axis that each of S, H, W comes from. () for 2D images (y, x), which get an axis S of one slice.
    """

    order: tuple[int, ...]

    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Voxels per LPS axis -> per (S, H, W) axis."""
        return self._reordered(shape) if self.order else (1, *shape)

    def spacing(self, spacing_mm: Sequence[float]) -> tuple[float, ...]:
        """Spacing per LPS axis -> per (S, H, W) axis; the single slice of a 2D image counts as isotropic."""
        return self._reordered(spacing_mm) if self.order else (spacing_mm[0], *spacing_mm)

    def forward(self, image: np.ndarray) -> np.ndarray:
        """(..., z, y, x) or (..., y, x) -> the view (..., S, H, W)."""
        return _transposed(image, self.order) if self.order else image[..., None, :, :]

    def forward_labels(self, labels: np.ndarray) -> np.ndarray:
        """(z, y, x) or (y, x) -> the view (S, H, W)."""
        return self.forward(labels)

    def inverse(self, volume: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """(..., S, H, W) -> the view (..., z, y, x) or (..., y, x)."""
        return _transposed(volume, np.argsort(self.order).tolist()) if self.order else volume[..., 0, :, :]

    def _reordered(self, values: Sequence[T]) -> tuple[T, ...]:
        return tuple(values[axis] for axis in self.order)


def _transposed(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """The last len(order) axes in another order."""
    leading = array.ndim - len(order)
    return array.transpose(*range(leading), *(leading + axis for axis in order))
