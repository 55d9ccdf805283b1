"""In which plane the labels of a volume were drawn."""

import numpy as np

from ..runtime.cropping import nonzero_box


def label_jumps(labels: np.ndarray, ignore: int | None = None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Per axis of (*spatial): the numbers of voxels that jump, and of label changes.

    A voxel jumps along an axis if both neighbours have the same label and it has another. A change is a pair of
    neighbours with different labels. Labels that were drawn slice by slice jump most often across the slices. Ignored
    voxels and their neighbours do not count.
    """
    around = tuple(slice(max(0, start - 1), stop + 1) for start, stop in nonzero_box(labels[None]))
    jumps, changes = [], []
    for axis in range(labels.ndim):
        lines = np.moveaxis(labels[around], axis, 0)  # (n, ...)
        differs = lines[1:] != lines[:-1]
        if ignore is not None:
            known = lines != ignore
            differs &= known[1:] & known[:-1]
        jumping = differs[1:] & differs[:-1] & (lines[2:] == lines[:-2])
        jumps.append(int(np.count_nonzero(jumping)))
        changes.append(int(np.count_nonzero(differs)))
    return tuple(jumps), tuple(changes)
