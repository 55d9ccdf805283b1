"""Target spacing, slicing axis and working resolution."""

from collections.abc import Sequence

import numpy as np

from .rule import Chosen, times

ANISOTROPY = 3.0  # an axis coarser than the next by more than this is treated apart (nnU-Net's threshold)
ANISOTROPIC_PERCENTILE = 10
TIE = 1.25  # spacings closer than this count as equal
NEAR = 1.5  # distance of slices relative to that of their voxels, up to which they are near
NEAR_ADJACENT, FAR_ADJACENT = 3, 2  # slices on either side that a 2D network sees
MOST_IMAGE_CHANNELS = 9  # of all slices together
WORKING_SIZE = 128  # longest median side of a preprocessed image
WORKING_EXTENT = 12  # working voxels that the smallest structure keeps


def target_spacing(spacings_mm: np.ndarray) -> Chosen:
    """(N, axes) spacings of the cases -> one spacing per axis (nnU-Net's rule).

    The median of each axis; of a strongly anisotropic axis the 10th percentile, but never finer than the next axis.
    """
    target = np.median(spacings_mm, axis=0)
    coarsest = int(target.argmax())
    others = np.delete(target, coarsest)
    if others.size == 0 or target[coarsest] <= ANISOTROPY * others.max():
        return Chosen(_rounded(target), "median of the cases' spacings, per axis")
    ratio = target[coarsest] / others.max()
    finer = np.percentile(spacings_mm[:, coarsest], ANISOTROPIC_PERCENTILE)
    target[coarsest] = max(finer, others.max())
    return Chosen(
        _rounded(target),
        f"median per axis; one axis is {ratio:.1f} times coarser than the next (above {ANISOTROPY:g}), so its 10th "
        "percentile, which keeps most of what its finer cases show",
    )


def slicing_axis(spacing_mm: Sequence[float]) -> Chosen:
    """The LPS array axis (0 axial, 1 coronal, 2 sagittal) that 2D configurations slice across."""
    coarsest = max(spacing_mm)
    axis = next(axis for axis, value in enumerate(spacing_mm) if value * TIE >= coarsest)
    tied = sum(value * TIE >= coarsest for value in spacing_mm) > 1
    why = (
        f"no spacing is more than {TIE - 1:.0%} coarser than the axial one"
        if tied and axis == 0
        else "it has the coarsest spacing"
    )
    return Chosen(axis, f"{why} ({times(spacing_mm)})")


def adjacent_slices(between_mm: float | None, within_mm: Sequence[float], n_channels: int) -> Chosen:
    """How many slices on either side a 2D network sees besides its own (docs/explanation/recipe.md).

    between_mm: distance of the slices, None where it is not known. within_mm: working spacing inside of them.
    n_channels: image channels of the dataset; with many of them fewer slices are seen.
    """
    if between_mm is None:
        wished, because = FAR_ADJACENT, "how far apart the slices are is not known"
    else:
        ratio = between_mm / max(within_mm)
        wished = NEAR_ADJACENT if ratio <= NEAR else FAR_ADJACENT
        because = f"slices are {ratio:.1f} times as far apart as their voxels (up to {NEAR:g}: {NEAR_ADJACENT})"
    allowed = max(1, (MOST_IMAGE_CHANNELS // n_channels - 1) // 2)
    if allowed < wished:
        because += f"; {2 * wished + 1} slices of {n_channels} channels would be too many to see"
    return Chosen(min(wished, allowed), because)


def working_spacing(spacing_mm: Sequence[float], median_shape: Sequence[float], extent_mm: Sequence[float]) -> Chosen:
    """The spacing per axis after capping the longest median side at about 128 voxels.

    median_shape: voxels per axis at `spacing_mm`. extent_mm: extent of the smallest structure per axis. The cap gives
    way where it would leave that structure fewer than 12 voxels. No axis becomes finer; labels are restored to the
    full resolution at prediction.
    """
    longest = int(np.argmax(median_shape))
    side = median_shape[longest]
    if side <= WORKING_SIZE:
        return Chosen(tuple(spacing_mm), "")
    wished = spacing_mm[longest] * side / WORKING_SIZE
    allowed = min(
        extent / WORKING_EXTENT
        for extent, value in zip(extent_mm, spacing_mm, strict=True)
        if value < wished  # an axis as coarse as that stays as it is
    )
    working = tuple(float(f"{max(value, min(wished, allowed)):.6g}") for value in spacing_mm)
    cost = f"the median image is {side:.0f} voxels long and full-resolution cells are what costs time on a CPU"
    if allowed >= wished:
        return Chosen(working, f"{cost}, so about {WORKING_SIZE}; labels are restored to the full resolution")
    kept = f"the smallest structure would keep fewer than {WORKING_EXTENT} voxels at"
    if working == tuple(spacing_mm):
        return Chosen(working, f"not coarser, though {cost}: {kept} {WORKING_SIZE}")
    return Chosen(working, f"{cost}, but {kept} {WORKING_SIZE}, so only as coarse as that allows")


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
