"""Logits of an image that is larger than what a network takes at once, from windows that overlap."""

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import product

import numpy as np

from ..runtime.padding import Pad

OVERLAP = 0.5  # of a window with the next one
SIGMA = 0.125  # of the weights in a window, as a share of its side


def blended(batch: np.ndarray, window: Sequence[int], predict: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """batch (B, C, *spatial) -> logits (B, K, *spatial): a mean over windows that counts more in a window's centre.

    The same as MONAI's sliding_window_inference in mode "gaussian", which needs torch. An axis that is shorter than the
    window is padded with zeros.
    """
    pad = Pad.to(batch.shape[2:], window)
    widths = [
        (start, new - size - start) for start, size, new in zip(pad.starts, pad.shape, pad.padded_shape, strict=True)
    ]
    padded = np.pad(batch, [(0, 0), (0, 0), *widths])
    weights = _weights(window)
    total, share = None, np.zeros(pad.padded_shape, np.float32)
    for box in _boxes(pad.padded_shape, window):
        logits = predict(np.ascontiguousarray(padded[:, :, *box])) * weights
        if total is None:
            total = np.zeros((*logits.shape[:2], *pad.padded_shape), np.float32)
        total[:, :, *box] += logits
        share[box] += weights
    assert total is not None  # there is a box at least
    return pad.inverse(total / share)


def _weights(window: Sequence[int]) -> np.ndarray:
    """float32 (*window), at least 0.001."""
    lines = []
    for side in window:
        place = np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)
        lines.append(np.exp(-(place**2) / np.float32(2 * (SIGMA * side) ** 2)))
    return np.maximum(reduce(np.multiply.outer, lines), np.float32(1e-3))


def _boxes(shape: Sequence[int], window: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Windows that cover `shape`; the last along an axis ends where the axis does."""
    starts = []
    for side, size in zip(shape, window, strict=True):
        step = max(1, int(size * (1 - OVERLAP)))
        starts.append([*range(0, side - size, step), side - size])
    for corner in product(*starts):
        yield tuple(slice(start, start + size) for start, size in zip(corner, window, strict=True))
