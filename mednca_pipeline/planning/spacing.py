"""Target spacing, slicing axis and adjacent slices."""

from collections.abc import Sequence

import numpy as np

from .rule import Chosen, times

ANISOTROPY = 3.0  # an axis coarser than the next by more than this is treated apart (nnU-Net's threshold)
ANISOTROPIC_PERCENTILE = 10
TIE = 1.25  # spacings closer than this count as equal, and so do shares of jumps
LEAST_JUMPS = 0.02  # of the label changes along an axis, from which labels show in which plane they were drawn
NEAR = 1.5  # distance of slices relative to that of their voxels, up to which they are near
NEAR_ADJACENT, FAR_ADJACENT = 3, 2  # slices on either side that a 2D network sees
MOST_IMAGE_CHANNELS = 9  # of all slices together


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


def slicing_axis(spacing_mm: Sequence[float], jumps: Sequence[float] = (0.0, 0.0, 0.0)) -> Chosen:
    """The LPS array axis (0 axial, 1 coronal, 2 sagittal) that 2D configurations slice across.

    jumps: per axis, how many of the label changes along it are jumps (fingerprint.drawn). Labels drawn slice by slice
    jump most across the slices, which decides among axes of equal spacing.
    """
    coarsest = max(spacing_mm)
    tied = [axis for axis, value in enumerate(spacing_mm) if value * TIE >= coarsest]
    if len(tied) == 1:
        return Chosen(tied[0], f"it has the coarsest spacing ({times(spacing_mm)})")
    axis = max(tied, key=lambda axis: jumps[axis])
    if jumps[axis] < LEAST_JUMPS or (axis != tied[0] and jumps[axis] <= TIE * jumps[tied[0]]):
        axis, why = tied[0], "labels jump from slice to slice along no other axis clearly more often"
    else:
        why = "labels jump from slice to slice there most often, so they were drawn in these slices"
    shares = ", ".join(f"{share:.3f}" for share in jumps)
    return Chosen(axis, f"spacings are alike ({times(spacing_mm)}); {why} ({shares} of the changes along z, y, x)")


def adjacent_slices(between_mm: float | None, within_mm: Sequence[float], n_channels: int) -> Chosen:
    """How many slices on either side a 2D network sees besides its own (docs/explanation/recipe-notebook.md).

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


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
