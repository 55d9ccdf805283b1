"""Separable resampling: one small interpolation matrix per axis, applied as matrix products.

Voxel centres are aligned as in torch's align_corners=False: output i of n lies at (i + 0.5) * size / n - 0.5 of the
input. Edges are replicated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

NEAREST, LINEAR, CUBIC = 0, 1, 3
_REACH = {LINEAR: 1.0, CUBIC: 2.0}
_BLOCK = 64  # output rows per product: a matrix is zero away from its diagonal, and that part is left out


@dataclass(frozen=True)
class Resample:
    """Brings (S, H, W) from `shape` to `resampled_shape`, and probabilities back, linearly.

    image_orders, label_orders: of interpolation, per axis.
    """

    shape: tuple[int, ...]
    resampled_shape: tuple[int, ...]
    image_orders: tuple[int, ...]
    label_orders: tuple[int, ...]

    @classmethod
    def to_spacing(
        cls,
        shape: Sequence[int],
        found_mm: Sequence[float],
        target_mm: Sequence[float | None],
        anisotropy_threshold: float,
    ) -> "Resample":
        """From the spacing `found_mm` to `target_mm`, where None leaves an axis as it is."""
        sides = tuple(
            size if target is None else max(1, round(size * found / target))
            for size, found, target in zip(shape, found_mm, target_mm, strict=True)
        )
        wanted = [found if target is None else target for found, target in zip(found_mm, target_mm, strict=True)]
        orders = (of(found_mm, wanted, anisotropy_threshold) for of in (image_orders, label_orders))
        return cls(tuple(shape), sides, *orders)

    def forward(self, image: np.ndarray) -> np.ndarray:
        """(..., *shape) -> float32 (..., *resampled_shape), without aliasing."""
        return resample(image, self.resampled_shape, self.image_orders, antialias=True)

    def forward_labels(self, labels: np.ndarray) -> np.ndarray:
        """(*shape) -> (*resampled_shape) of the same type: the value that covers most of each voxel."""
        return resample_labels(labels, self.resampled_shape, self.label_orders)

    def inverse(self, volume: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """Probabilities (..., *resampled_shape) -> float32 (..., *shape)."""
        return resample(volume, self.shape, LINEAR)


def resample(
    array: np.ndarray, shape: Sequence[int], order: int | Sequence[int], antialias: bool = False
) -> np.ndarray:
    """(..., *spatial) -> float32 (..., *shape); the last len(shape) axes are resampled.

    order: NEAREST, LINEAR or CUBIC (Keys 1981, a = -0.5), one for all axes or one per axis.
    antialias: widens the kernel by the factor along axes that shrink.
    Axes that keep their size are left alone; where all do, the array itself comes back.
    """
    orders = [order] * len(shape) if isinstance(order, int) else list(order)
    leading = array.ndim - len(shape)
    changes = [
        (new / array.shape[leading + axis], leading + axis, new, orders[axis])
        for axis, new in enumerate(shape)
        if new != array.shape[leading + axis]
    ]
    result = np.asarray(array, np.float32)
    for _, axis, new, axis_order in sorted(changes):  # shrinking axes first: less work for the others
        result = _along(result, axis, new, axis_order, antialias)
    return result


def resample_labels(labels: np.ndarray, shape: Sequence[int], order: int | Sequence[int]) -> np.ndarray:
    """Label values (*spatial) of an unsigned or small integer type -> (*shape) of the same type.

    Each value's mask is resampled, and every voxel takes the value that covers most of it (the smaller one of equals).
    """
    if tuple(shape) == labels.shape:
        return labels
    return most_covering(labels, shape, lambda mask: resample(mask, shape, order))


def most_covering(
    labels: np.ndarray, shape: Sequence[int], resampled: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """The value whose mask, `resampled` from (*spatial) to (*shape), covers most of each voxel."""
    present = np.flatnonzero(np.bincount(labels.reshape(-1)))
    result = np.full(shape, present[0], labels.dtype)
    if len(present) == 1:
        return result
    best = resampled(labels == present[0])
    for value in present[1:]:
        cover = resampled(labels == value)
        result[cover > best] = value
        np.maximum(best, cover, out=best)
    return result


def image_orders(found_mm: Sequence[float], target_mm: Sequence[float], threshold: float) -> tuple[int, ...]:
    """Cubic, but linear along a strongly anisotropic axis, whose neighbours are too far apart for a cubic."""
    coarse = anisotropic_axis(found_mm, target_mm, threshold)
    return tuple(LINEAR if axis == coarse else CUBIC for axis in range(len(found_mm)))


def label_orders(found_mm: Sequence[float], target_mm: Sequence[float], threshold: float) -> tuple[int, ...]:
    """Linear, but nearest along a strongly anisotropic axis."""
    coarse = anisotropic_axis(found_mm, target_mm, threshold)
    return tuple(NEAREST if axis == coarse else LINEAR for axis in range(len(found_mm)))


def anisotropic_axis(found_mm: Sequence[float], target_mm: Sequence[float], threshold: float) -> int | None:
    """The axis more than `threshold` times coarser than every other, before or else after resampling; or None."""
    for spacing in (found_mm, target_mm):
        order = np.argsort(spacing)
        if spacing[order[-1]] > threshold * spacing[order[-2]]:
            return int(order[-1])
    return None


def interpolation_matrix(size: int, new: int, order: int, antialias: bool = False) -> np.ndarray:
    """float32 (new, size): row i holds the weights of the inputs in output i. Rows sum to 1."""
    factor = size / new
    centres = (np.arange(new) + 0.5) * factor - 0.5
    matrix = np.zeros((new, size))
    if order == NEAREST:
        matrix[np.arange(new), np.clip(np.floor(centres + 0.5).astype(int), 0, size - 1)] = 1
        return matrix.astype(np.float32)
    width = max(1.0, factor) if antialias else 1.0
    reach = _REACH[order] * width
    taps = np.floor(centres - reach)[:, None] + np.arange(int(np.ceil(2 * reach)) + 2)  # (new, taps)
    weights = _kernel((taps - centres[:, None]) / width, order)
    weights /= weights.sum(axis=1, keepdims=True)
    columns = np.clip(taps, 0, size - 1).astype(int)
    np.add.at(matrix, (np.arange(new)[:, None], columns), weights)
    return matrix.astype(np.float32)


def _kernel(distance: np.ndarray, order: int) -> np.ndarray:
    x = np.abs(distance)
    if order == LINEAR:
        return np.maximum(0, 1 - x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((2.5 - 0.5 * x) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _along(array: np.ndarray, axis: int, new: int, order: int, antialias: bool) -> np.ndarray:
    """Resamples one axis of a float32 array."""
    return multiply_along(array, axis, interpolation_matrix(array.shape[axis], new, order, antialias))


def multiply_along(array: np.ndarray, axis: int, matrix: np.ndarray) -> np.ndarray:
    """Applies an interpolation matrix (new, size) along one axis of a float32 array: a product per block of rows."""
    new, size = matrix.shape
    before, after = array.shape[:axis], array.shape[axis + 1 :]
    last = not after
    flat: np.ndarray = (
        array.reshape(-1, size) if last else array.reshape(int(np.prod(before)), size, int(np.prod(after)))
    )
    result = np.empty((len(flat), new) if last else (len(flat), new, flat.shape[2]), np.float32)
    for start in range(0, new, _BLOCK):
        rows = matrix[start : start + _BLOCK]
        used = np.flatnonzero(rows.any(axis=0))
        low, high = used[0], used[-1] + 1
        stop = start + len(rows)
        if last:
            np.matmul(flat[:, low:high], rows[:, low:high].T, out=result[:, start:stop])
        else:
            np.matmul(rows[:, low:high], flat[:, low:high], out=result[:, start:stop])
    return result.reshape(*before, new, *after)
