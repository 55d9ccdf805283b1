"""Padding up to a size that a network can take, by replicating edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from .cropping import inside

if TYPE_CHECKING:
    from torch import Tensor

Volume = TypeVar("Volume", np.ndarray, "Tensor")


@dataclass(frozen=True)
class Pad:
    """Replicates the edges of the last len(shape) axes, from `shape` to `padded_shape`.

    As much on either side; the odd voxel goes to the end.
    """

    shape: tuple[int, ...]
    padded_shape: tuple[int, ...]

    @classmethod
    def to(cls, shape: Sequence[int], minimum: Sequence[int], multiple: int | Sequence[int] = 1) -> "Pad":
        """To the smallest shape of at least `shape` and `minimum` whose sizes are whole multiples of `multiple`."""
        multiples = [multiple] * len(minimum) if isinstance(multiple, int) else multiple
        sizes = zip(shape, minimum, multiples, strict=True)
        return cls(tuple(shape), tuple(-(-max(size, least) // factor) * factor for size, least, factor in sizes))

    @property
    def starts(self) -> tuple[int, ...]:
        """Where the image begins in the padded one, per padded axis."""
        return tuple((new - size) // 2 for size, new in zip(self.shape, self.padded_shape, strict=True))

    def forward(self, image: np.ndarray) -> np.ndarray:
        """(..., *shape) -> (..., *padded_shape), or the array itself where it is large enough already."""
        if self.padded_shape == self.shape:
            return image
        sizes = zip(self.starts, self.shape, self.padded_shape, strict=True)
        widths = [(start, new - size - start) for start, size, new in sizes]
        return np.pad(image, [(0, 0)] * (image.ndim - len(widths)) + widths, mode="edge")

    def forward_labels(self, labels: np.ndarray) -> np.ndarray:
        """(..., *shape) -> (..., *padded_shape)."""
        return self.forward(labels)

    def inverse(self, volume: Volume, outside: float = 0.0) -> Volume:
        """(..., *padded_shape) -> the view (..., *shape)."""
        return volume[inside((start, start + size) for start, size in zip(self.starts, self.shape, strict=True))]
