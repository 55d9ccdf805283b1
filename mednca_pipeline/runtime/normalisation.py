"""Intensity normalisation per channel, named after what nnU-Net does for the same `channel_names`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from .errors import InputError

Scheme = Literal["zscore", "ct", "rgb", "none"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
_PERCENTILES = (0.5, 99.5)
_LARGEST_SAMPLE = 1_000_000


@dataclass(frozen=True)
class Normalise:
    """Changes intensities alone, so labels and probabilities pass it unchanged in both directions. See `normalise`."""

    schemes: tuple[str, ...]
    ct_statistics: tuple[tuple[float, float, float, float], ...]
    clip_percentiles: bool

    def forward(self, image: np.ndarray) -> np.ndarray:
        """(C, *spatial) -> float32 (C, *spatial)."""
        return normalise(image, self.schemes, self.ct_statistics, self.clip_percentiles)

    def forward_labels(self, labels: np.ndarray) -> np.ndarray:
        """`labels` themselves."""
        return labels

    def inverse(self, volume: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """`volume` itself: it holds labels or probabilities."""
        return volume


def normalise(
    array: np.ndarray,
    schemes: Sequence[str],
    ct_statistics: Sequence[Sequence[float]] = (),
    clip_percentiles: bool = True,
) -> np.ndarray:
    """(C, *spatial) -> float32 (C, *spatial), each channel by its scheme; the input is not changed.

    zscore: the case's own mean and sd, after clipping to its own 0.5 and 99.5 percentiles if `clip_percentiles`.
    ct: clipped to the dataset's 0.5 and 99.5 percentiles, then its mean and sd (`ct_statistics`: mean, sd, low, high).
    rgb: 0..255 to -1..1, so that mid grey is 0 and the standard deviation is near that of the other schemes.
    none: unchanged.
    Raises InputError for an unknown scheme, a missing statistic, or another number of channels than schemes.
    """
    if len(array) != len(schemes):
        raise InputError("", f"{len(schemes)} image channels as in training", str(len(array)))
    normalised = np.empty(array.shape, np.float32)
    for index, scheme in enumerate(schemes):
        normalised[index] = array[index]
        if scheme == "zscore":
            _zscore(normalised[index], clip_percentiles)
        elif scheme == "ct":
            if len(ct_statistics) <= index:
                raise InputError(f"ct_statistics of channel {index}", "four numbers", "none", "Plan again.")
            _ct(normalised[index], *ct_statistics[index])
        elif scheme == "rgb":
            normalised[index] *= 2 / 255
            normalised[index] -= 1
        elif scheme != "none":
            raise InputError(f"normalisation of channel {index}", f"one of {', '.join(SCHEMES)}", repr(scheme))
    return normalised


def percentiles(values: np.ndarray) -> tuple[float, ...]:
    """The 0.5 and 99.5 percentiles of an array of any shape; above a million values, of an evenly strided sample."""
    flat = values.reshape(-1)
    if flat.size > _LARGEST_SAMPLE:
        stride = -(-flat.size // _LARGEST_SAMPLE)
        while any(math.gcd(stride, size) > 1 for size in values.shape):  # else every row gives the same columns
            stride += 1
        flat = flat[::stride]
    return tuple(float(value) for value in np.percentile(flat, _PERCENTILES))


def _zscore(channel: np.ndarray, clip_percentiles: bool) -> None:
    """In place. A constant channel becomes zero."""
    if clip_percentiles:
        low, high = percentiles(channel)
        if low < high:  # else nearly all voxels are equal, and the few others are the image
            np.clip(channel, low, high, out=channel)
    mean, sd = channel.mean(dtype=np.float64), channel.std(dtype=np.float64)
    _standardise(channel, mean, sd)


def _ct(channel: np.ndarray, mean: float, sd: float, low: float, high: float) -> None:
    np.clip(channel, low, high, out=channel)
    _standardise(channel, mean, sd)


def _standardise(channel: np.ndarray, mean: float, sd: float) -> None:
    channel -= np.float32(mean)
    channel *= np.float32(1 / sd if sd > 1e-6 * abs(mean) else 0)
