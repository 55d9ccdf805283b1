"""Dice, HD95, NSD and volumes of one segmented case, in its original geometry."""

import math
import warnings
from collections.abc import Sequence

import numpy as np

from ..runtime.errors import InputError
from ..runtime.labels import Labels
from ..runtime.quality import FOREGROUND

METRICS = ("dice", "hd95", "nsd", "volume_predicted", "volume_reference")
TOLERANCE_MM = 1.0
TOLERANCE_VOXELS = 2.0
POLICY = (
    "A class empty in the prediction and in the reference: Dice 1, HD95 0, NSD 1. Empty in one of the two: Dice 0, "
    "NSD 0, HD95 the image's diagonal. Ignored voxels count as background in both. "
    "HD95 is the larger of the two directed 95th percentiles of the distances between boundary voxels; "
    f"NSD has a tolerance of {TOLERANCE_MM:g} mm, or {TOLERANCE_VOXELS:g} voxels where the spacing is unknown."
)


def evaluate_case(
    prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float], labels: Labels, spacing_known: bool
) -> dict[str, dict[str, float]]:
    """Metrics per output of `labels`, and of all of them merged as "foreground".

    prediction, reference: integer label arrays of the same shape, (z, y, x) or (y, x).
    spacing_mm: per axis of these arrays; unused, and distances in voxels, when `spacing_known` is false.
    Returns {name: {"dice", "hd95", "nsd", "volume_predicted", "volume_reference"}}; volumes in mm^3 (2D: mm^2), or
    in voxels when the spacing is unknown. Empty masks are treated as POLICY says.
    Raises InputError when the shapes differ or a label value is none of `labels`.
    """
    if prediction.shape != reference.shape:
        raise InputError(
            f"expected a prediction of the reference's shape {reference.shape}, found {prediction.shape}: "
            "predict on the image that the reference was drawn on."
        )
    for role, array in (("prediction", prediction), ("reference", reference)):
        unknown = sorted(set(np.unique(array).tolist()) - set(labels.valid_values))
        if unknown:
            raise InputError(
                f"{role}: expected label values {sorted(labels.valid_values)}, found {unknown[:5]}: "
                "correct the file, or give the dataset (-d) whose labels these are."
            )
    if labels.ignore is not None:
        ignored = reference == labels.ignore
        prediction, reference = np.where(ignored, 0, prediction), np.where(ignored, 0, reference)
    spacing = tuple(float(step) for step in spacing_mm) if spacing_known else (1.0,) * reference.ndim
    tolerance = TOLERANCE_MM if spacing_known else TOLERANCE_VOXELS
    results = {}
    for (name, predicted), (_, true) in zip(labels.masks(prediction), labels.masks(reference), strict=True):
        results[_distinct(name, labels)] = mask_metrics(predicted, true, spacing, tolerance)
    if len(labels.names) == 1:
        return {**results, FOREGROUND: next(iter(results.values()))}
    merged = mask_metrics(labels.foreground(prediction), labels.foreground(reference), spacing, tolerance)
    return {**results, FOREGROUND: merged}


def mask_metrics(
    prediction: np.ndarray, reference: np.ndarray, spacing: Sequence[float], tolerance: float
) -> dict[str, float]:
    """Metrics of two boolean masks of one shape; `spacing` and `tolerance` in one unit of length."""
    voxel = math.prod(spacing)
    volumes = {
        "volume_predicted": int(prediction.sum()) * voxel,
        "volume_reference": int(reference.sum()) * voxel,
    }
    if not (prediction.any() and reference.any()):
        if prediction.any() == reference.any():
            return {"dice": 1.0, "hd95": 0.0, "nsd": 1.0, **volumes}
        diagonal = math.hypot(*(size * step for size, step in zip(reference.shape, spacing, strict=True)))
        return {"dice": 0.0, "hd95": diagonal, "nsd": 0.0, **volumes}
    box = _bounding_box(prediction | reference)
    hd95, nsd = _boundary_metrics(prediction[box], reference[box], spacing, tolerance)
    return {"dice": dice(prediction, reference), "hd95": hd95, "nsd": nsd, **volumes}


def dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Dice of two boolean masks; 1 when both are empty."""
    total = int(prediction.sum()) + int(reference.sum())
    return 2 * int((prediction & reference).sum()) / total if total else 1.0


def _boundary_metrics(
    prediction: np.ndarray, reference: np.ndarray, spacing: Sequence[float], tolerance: float
) -> tuple[float, float]:
    """HD95 and NSD by MONAI; the NSD weights boundary elements by their area (Nikolov et al. 2021), both not empty."""
    import torch
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    masks = [torch.from_numpy(np.ascontiguousarray(mask))[None, None] for mask in (prediction, reference)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI deprecates an argument that it passes itself
        hd95 = compute_hausdorff_distance(*masks, include_background=True, percentile=95, spacing=list(spacing))
        nsd = compute_surface_dice(
            *masks, [tolerance], include_background=True, spacing=list(spacing), use_subvoxels=True
        )
    return float(hd95), float(nsd)


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    box = []
    for axis in range(mask.ndim):
        present = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(int(present[0]), int(present[-1]) + 1))
    return tuple(box)


def _distinct(name: str, labels: Labels) -> str:
    """A class that is itself called "foreground", among several, must not hide the merged one."""
    return f"{name} (class)" if name == FOREGROUND and len(labels.names) > 1 else name
