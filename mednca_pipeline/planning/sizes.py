"""Sizes of images and structures over a dataset, in the (S, H, W) axes of a configuration."""

from collections.abc import Sequence

import numpy as np

from ..fingerprint.fingerprint import Fingerprint
from ..runtime.errors import InputError
from .rule import Chosen, round_up, times

SMALLEST_PERCENTILE = 10
IMAGE_SIZE_PERCENTILE = 95


def reordered(values: Sequence[float], axes: Sequence[int]) -> tuple[float, ...]:
    """The values of these axes, in their order."""
    return tuple(values[axis] for axis in axes)


def spacings_mm(fingerprint: Fingerprint, axes: Sequence[int]) -> np.ndarray:
    """(N, len(axes)): the spacing of every case along the given LPS array axes."""
    return np.array([reordered(case.spacing_mm, axes) for case in fingerprint.cases], float)


def cropped_shapes(fingerprint: Fingerprint, axes: Sequence[int]) -> np.ndarray:
    """(N, len(axes)): the shape of every case, cropped to non-zero, in the case's own voxels."""
    return np.array([reordered(case.cropped_shape, axes) for case in fingerprint.cases], float)


def preprocessed_shapes(
    fingerprint: Fingerprint, axes: Sequence[int], spacing_mm: Sequence[float | None]
) -> np.ndarray:
    """(N, len(axes)): the shape of every case at the target spacing. An axis with None keeps its spacing."""
    shapes, found = cropped_shapes(fingerprint, axes), spacings_mm(fingerprint, axes)
    target = np.array([[np.nan if value is None else value for value in spacing_mm]])
    return np.maximum(np.rint(shapes * np.where(np.isnan(target), 1, found / target)), 1)


def jump_shares(fingerprint: Fingerprint) -> tuple[float, ...]:
    """Per axis of volumes: the share of label changes, over all cases, that are jumps; 0 where nothing changes.

    Also 0 where voxels are ignored: single labelled slices have no neighbours to jump from.
    """
    if fingerprint.labels.ignore is not None:
        return (0.0, 0.0, 0.0)
    jumps = np.sum([case.label_jumps for case in fingerprint.cases], axis=0)
    changes = np.sum([case.label_changes for case in fingerprint.cases], axis=0)
    return tuple(float(share) for share in jumps / np.maximum(changes, 1))


def smallest_extents_mm(fingerprint: Fingerprint, axes: Sequence[int]) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Per axis: the smallest extent of any class (10th percentile over the cases that show the class), and that class.

    Raises InputError when no case shows any class.
    """
    per_class: dict[str, np.ndarray] = {}
    for name in fingerprint.labels.names:
        shown = [(case, case.classes[name]) for case in fingerprint.cases if case.classes[name].voxels]
        measured = [
            np.multiply(reordered(found.extent, axes), reordered(case.spacing_mm, axes)) for case, found in shown
        ]
        if measured:
            per_class[name] = np.percentile(measured, SMALLEST_PERCENTILE, axis=0)
    if not per_class:
        raise InputError(
            fingerprint.dataset,
            f"labelled voxels of {', '.join(fingerprint.labels.names)}",
            "none in any training case",
            "Check that labelsTr holds the labels that dataset.json names.",
        )
    names, extents = list(per_class), np.array(list(per_class.values()))
    which = extents.argmin(axis=0)
    return tuple(float(value) for value in extents.min(axis=0)), tuple(names[index] for index in which)


def typical_large_shape(shapes: np.ndarray) -> tuple[float, ...]:
    """95th percentile per axis of (N, axes) shapes."""
    return tuple(float(value) for value in np.percentile(shapes, IMAGE_SIZE_PERCENTILE, axis=0))


def image_size(large_shape: Sequence[float], multiple: Sequence[int]) -> Chosen[tuple[int, ...]]:
    """Images are padded up to this size in training and inference alike."""
    size = tuple(round_up(side, factor) for side, factor in zip(large_shape, multiple, strict=True))
    shape = times(round(side) for side in large_shape)
    return Chosen(
        size,
        f"95 % of the preprocessed images are at most {shape}, rounded up to a multiple of the coarsest factor "
        f"{times(multiple)}",
    )
