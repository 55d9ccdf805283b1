"""Target spacing, slicing axis and adjacent slices."""

from collections.abc import Sequence

import numpy as np

from .rule import Chosen, times

ANISOTROPY = 3.0  # an axis coarser than the next by more than this is treated apart (nnU-Net's threshold)
ANISOTROPIC_PERCENTILE = 10
TIE = 1.25  # spacings whose ratio is smaller count as equal, and so do shares of jumps
LEAST_JUMPS = 0.02  # labels show in which plane they were drawn if this share of their changes along an axis are jumps
NEAR = 1.5  # slices are near if they are at most so many times as far apart as the pixels in them
NEAR_ADJACENT, FAR_ADJACENT = 3, 2  # slices on either side that a 2D network sees
MOST_IMAGE_CHANNELS = 9  # all slices together


def target_spacing(spacings_mm: np.ndarray) -> Chosen[tuple[float, ...]]:
    """(N, axes) spacings of the cases -> one spacing per axis (nnU-Net's rule).

    Each axis has its median. A strongly anisotropic axis has its 10th percentile, but is never finer than the next.
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
        f"median per axis; one axis is {ratio:.1f} times coarser than the next (above {ANISOTROPY:g}) and has its 10th "
        "percentile, which keeps most of what the finer cases show",
    )


def slicing_axis(spacing_mm: Sequence[float], jumps: Sequence[float] = (0.0, 0.0, 0.0)) -> Chosen[int]:
    """The LPS array axis (0 axial, 1 coronal, 2 sagittal) that 2D configurations slice across.

    jumps: per axis, the share of the label changes that are jumps (fingerprint.drawn). Labels drawn slice by slice jump
    most across the slices, which decides among axes of equal spacing.
    """
    coarsest = max(spacing_mm)
    tied = [axis for axis, value in enumerate(spacing_mm) if value * TIE >= coarsest]
    if len(tied) == 1:
        return Chosen(tied[0], f"the axis across these slices has the coarsest spacing ({times(spacing_mm)})")
    axis = max(tied, key=lambda axis: jumps[axis])
    if jumps[axis] < LEAST_JUMPS or (axis != tied[0] and jumps[axis] <= TIE * jumps[tied[0]]):
        axis, why = tied[0], "along no other axis do labels jump clearly more often from slice to slice"
    else:
        why = "across these slices labels jump most often, so they were drawn in them"
    shares = ", ".join(f"{share:.3f}" for share in jumps)
    return Chosen(axis, f"spacings are alike ({times(spacing_mm)}); {why} ({shares} of the changes along z, y, x)")


def adjacent_slices(between_mm: float | None, within_mm: Sequence[float], n_channels: int) -> Chosen[int]:
    """How many slices on either side a 2D network sees besides its own (docs/explanation/recipe-notebook.md).

    between_mm: distance of the slices, None where it is not known. within_mm: working spacing within the slices.
    n_channels: image channels of the dataset; with many channels fewer slices are seen.
    """
    if between_mm is None:
        wished, because = FAR_ADJACENT, "the distance of the slices is not known"
    else:
        ratio = between_mm / max(within_mm)
        wished = NEAR_ADJACENT if ratio <= NEAR else FAR_ADJACENT
        because = (
            f"slices are {ratio:.1f} times as far apart as the pixels in them ({NEAR_ADJACENT} slices up to {NEAR:g} "
            f"times, else {FAR_ADJACENT})"
        )
    allowed = max(1, (MOST_IMAGE_CHANNELS // n_channels - 1) // 2)
    if allowed < wished:
        because += f"; {2 * wished + 1} slices of {n_channels} channels would be too many channels"
    return Chosen(min(wished, allowed), because)


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
