"""Adjacent slices as further image channels: what a 2D network sees of the third dimension."""

import numpy as np


def with_adjacent(volume: np.ndarray, adjacent: int, wanted: range | None = None) -> np.ndarray:
    """(C, S, H, W) -> ((2 * adjacent + 1) * C, len(wanted), H, W): each wanted slice with its neighbours.

    wanted: all slices by default. The channels of the lowest neighbour come first. The first and last slices are
    repeated beyond the ends.
    """
    total = volume.shape[1]
    wanted = range(total) if wanted is None else wanted
    offsets = range(-adjacent, adjacent + 1)
    return np.concatenate([volume[:, np.clip(np.array(wanted) + offset, 0, total - 1)] for offset in offsets])


def centred_slice(window: np.ndarray) -> np.ndarray:
    """(C, 2 * adjacent + 1, H, W), a slice among its neighbours -> (C * (2 * adjacent + 1), H, W).

    The channels come in the order of `with_adjacent`.
    """
    return window.swapaxes(0, 1).reshape(-1, *window.shape[2:])
