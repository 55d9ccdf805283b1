"""Adjacent slices as further image channels: what a 2D network sees of the third dimension."""

import numpy as np


def with_adjacent(volume: np.ndarray, adjacent: int) -> np.ndarray:
    """(C, S, H, W) -> ((2 * adjacent + 1) * C, S, H, W): the channels of each slice's neighbours, lowest first.

    The first and last slices are repeated beyond the ends.
    """
    if adjacent == 0:
        return volume
    total = volume.shape[1]
    shifted = [np.clip(np.arange(total) + offset, 0, total - 1) for offset in range(-adjacent, adjacent + 1)]
    return np.concatenate([volume[:, order] for order in shifted])


def centred_slice(window: np.ndarray) -> np.ndarray:
    """(C, 2 * adjacent + 1, H, W), a slice among its neighbours -> (C * (2 * adjacent + 1), H, W), as above."""
    return window.swapaxes(0, 1).reshape(-1, *window.shape[2:])
