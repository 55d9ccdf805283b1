"""Crop, normalise, resample: from an image as read to what a network sees, and back to the original shape.

Arrays as read are (C, z, y, x) or (C, y, x) in LPS, `spacing_mm` in that axis order. Preprocessed arrays are always
(C, S, H, W), labels (S, H, W): S counts the slices of a 2D configuration, or is one more axis in 3D.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .cropping import crop_to, nonzero_box, put_back
from .labels import Labels
from .normalisation import normalise
from .resampling import LINEAR, image_orders, label_orders, resample, resample_labels


@dataclass(frozen=True)
class PreprocessingPlan:
    """How a configuration preprocesses its images.

    axis_order: permutation that brings an LPS (z, y, x) array to (S, H, W); () for 2D images.
    spacing_mm: target per (S, H, W) axis; None leaves the axis as it is.
    normalisation: per channel "zscore", "ct", "rgb" or "none".
    ct_statistics: per channel (mean, sd, 0.5 percentile, 99.5 percentile) of the dataset's foreground, for "ct".
    anisotropy_threshold: an axis this many times coarser than the next coarsest is interpolated with a lower order.
    clip_percentiles: "zscore" first clips to the case's own 0.5 and 99.5 percentiles.
    """

    axis_order: tuple[int, ...]
    spacing_mm: tuple[float | None, ...]
    normalisation: tuple[str, ...]
    ct_statistics: tuple[tuple[float, float, float, float], ...] = ()
    anisotropy_threshold: float = 3.0
    clip_percentiles: bool = True


@dataclass(frozen=True)
class Frame:
    """All that is needed to go back. Shapes, `crop` and spacing in LPS axis order, `preprocessed_shape` (S, H, W)."""

    original_shape: tuple[int, ...]
    crop: tuple[tuple[int, int], ...]
    cropped_shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    preprocessed_shape: tuple[int, ...]


def preprocess_image(
    array: np.ndarray, spacing_mm: tuple[float, ...], plan: PreprocessingPlan
) -> tuple[np.ndarray, Frame]:
    """(C, z, y, x) or (C, y, x) -> float32 (C, S, H, W) and its Frame."""
    box = nonzero_box(array)
    cropped = crop_to(array, box)
    spacing = tuple(float(value) for value in spacing_mm)
    ordered = _to_plan_axes(cropped, plan)
    shape = _target_shape(ordered.shape[1:], _plan_spacing(spacing, plan), plan)
    frame = Frame(tuple(array.shape[1:]), box, tuple(cropped.shape[1:]), spacing, shape)
    normalised = normalise(ordered, plan.normalisation, plan.ct_statistics, plan.clip_percentiles)
    orders = image_orders(*_spacings(frame, plan), plan.anisotropy_threshold)
    return np.ascontiguousarray(resample(normalised, shape, orders, antialias=True)), frame


def preprocess_labels(labels: np.ndarray, frame: Frame, plan: PreprocessingPlan, labels_def: Labels) -> np.ndarray:
    """Label values (z, y, x) or (y, x) -> (S, H, W), uint8 or int16: the largest of the linearly resampled classes.

    `ignore` is a class like the others here, so it is kept.
    """
    ordered = _to_plan_axes(crop_to(labels[None], frame.crop), plan)[0]
    dtype = np.uint8 if max(labels_def.valid_values) <= 255 else np.int16
    orders = label_orders(*_spacings(frame, plan), plan.anisotropy_threshold)
    return np.ascontiguousarray(resample_labels(ordered.astype(dtype), frame.preprocessed_shape, orders))


def restore_labels(
    probabilities: Iterable[np.ndarray], frame: Frame, plan: PreprocessingPlan, labels_def: Labels
) -> np.ndarray:
    """Probabilities (K, S, H, W), or an iterable of its K maps -> label values of the original shape.

    The maps are resampled one after the other into a running argmax: two are held at full resolution at most.
    What was cropped away is background.
    """
    shape = _plan_shape(frame, plan)
    labels = labels_def.decode(resample(probability, shape, LINEAR) for probability in probabilities)
    return put_back(_from_plan_axes(labels, plan), frame.crop, frame.original_shape)


def restore_volume(volume: np.ndarray, frame: Frame, plan: PreprocessingPlan, outside: float = 0.0) -> np.ndarray:
    """(S, H, W), such as one class's probability -> float32 of the original shape; `outside` where it was cropped."""
    resampled = resample(np.asarray(volume, np.float32), _plan_shape(frame, plan), LINEAR)
    return put_back(_from_plan_axes(resampled, plan), frame.crop, frame.original_shape, outside)


def _to_plan_axes(array: np.ndarray, plan: PreprocessingPlan) -> np.ndarray:
    """(C, z, y, x) -> (C, S, H, W) by the plan's permutation; (C, y, x) -> (C, 1, y, x)."""
    if not plan.axis_order:
        return array[:, None]
    return array.transpose(0, *(axis + 1 for axis in plan.axis_order))


def _from_plan_axes(array: np.ndarray, plan: PreprocessingPlan) -> np.ndarray:
    """(S, H, W) -> (z, y, x) or (y, x)."""
    return array.transpose(np.argsort(plan.axis_order)) if plan.axis_order else array[0]


def _plan_shape(frame: Frame, plan: PreprocessingPlan) -> tuple[int, ...]:
    """The cropped shape in the plan's axes."""
    shape = frame.cropped_shape
    return tuple(shape[axis] for axis in plan.axis_order) if plan.axis_order else (1, *shape)


def _plan_spacing(spacing_mm: tuple[float, ...], plan: PreprocessingPlan) -> tuple[float, ...]:
    """The original spacing in the plan's axes; the single slice of a 2D image counts as isotropic."""
    return tuple(spacing_mm[axis] for axis in plan.axis_order) if plan.axis_order else (spacing_mm[0], *spacing_mm)


def _spacings(frame: Frame, plan: PreprocessingPlan) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(original, target) spacing per (S, H, W) axis."""
    found = _plan_spacing(frame.spacing_mm, plan)
    return found, tuple(old if new is None else new for old, new in zip(found, plan.spacing_mm, strict=True))


def _target_shape(shape: tuple[int, ...], spacing_mm: tuple[float, ...], plan: PreprocessingPlan) -> tuple[int, ...]:
    return tuple(
        size if target is None else max(1, round(size * found / target))
        for size, found, target in zip(shape, spacing_mm, plan.spacing_mm, strict=True)
    )
