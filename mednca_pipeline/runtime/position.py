"""The position of each voxel as further image channels: a small network, or one that sees patches, cannot tell it."""

from collections.abc import Sequence

import numpy as np


def position_channels(
    shape: Sequence[int],
    box: Sequence[Sequence[int]],
    typical: Sequence[float],
    shift: Sequence[float] | np.ndarray | None = None,
) -> np.ndarray:
    """float32 (len(typical), *sides of the box): the place of each voxel of `box` along the last axes of its image.

    shape: sides of the image. box: [start, stop) per axis of the image; it may reach outside. typical: sides of a
    typical image; half a side is the unit. 0 is the image's centre, so that the same margin on opposite sides changes
    nothing. shift: added to each axis.
    """
    sides, axes = [stop - start for start, stop in box], len(typical)
    channels = np.empty((axes, *sides), np.float32)
    for index, channel in enumerate(channels):
        axis = len(sides) - axes + index
        place = (2 * np.arange(*box[axis]) + 1 - shape[axis]) / typical[index]
        place += 0 if shift is None else shift[index]
        channel[...] = place.reshape([-1 if other == axis else 1 for other in range(len(sides))])
    return channels
