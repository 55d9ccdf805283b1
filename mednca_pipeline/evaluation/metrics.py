"""Dice, HD95, NSD and volumes of one segmented case, in its original geometry.

In two stages, as in DeepMind's surface-distance: the distances between two outlines are measured once, and pure
functions give the metric for any percentile or tolerance, in single precision as MONAI's. An undefined metric is NaN;
POLICY says how it counts when cases are averaged.
"""

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..plans.plans import Plans
from ..runtime.errors import InputError
from ..runtime.labels import Labels
from ..runtime.listing import listed
from ..runtime.quality import FOREGROUND
from ..runtime.units import DistanceUnit, distance_unit, voxel_unit

METRICS = ("dice", "hd95", "nsd", "volume_predicted", "volume_reference")
TOLERANCE_MM = 1.0
TOLERANCE_VOXELS = 2.0
_DEFINITIONS = (
    "A class empty in the prediction and in the reference: Dice 1, HD95 0, NSD 1. Empty in one of the two: Dice 0, "
    "NSD 0, HD95 the image's diagonal. Ignored voxels count as background in both. "
    "HD95 is the larger of the two directed 95th percentiles of the distances between boundary voxels"
)
POLICY = (
    f"{_DEFINITIONS}; NSD has a tolerance of {TOLERANCE_MM:g} mm, or {TOLERANCE_VOXELS:g} pixels or voxels where "
    "the spacing is unknown."
)

EMPTY_IN_BOTH, EMPTY_IN_ONE = "empty_in_both", "empty_in_one"

Row = Mapping[str, float]  # the metrics of one class of a case; NaN where a metric is undefined


@dataclass(frozen=True)
class Units:
    """What distances and volumes are counted in. spacing_known: mm; else pixels of pictures and voxels of volumes.

    tolerance: NSD's, in this unit; None for TOLERANCE_MM or TOLERANCE_VOXELS. dimensions: of the images, 2 or 3.
    Raises InputError for a negative tolerance.
    """

    spacing_known: bool = True
    tolerance: float | None = None
    dimensions: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.nsd_tolerance < math.inf:
            raise InputError("tolerance", "a distance of at least 0", str(self.tolerance))

    @property
    def distance(self) -> DistanceUnit:
        return distance_unit(self.spacing_known, self.dimensions)

    @property
    def volume(self) -> str:
        return "mm^dimensions" if self.spacing_known else voxel_unit(self.dimensions)

    @property
    def nsd_tolerance(self) -> float:
        if self.tolerance is not None:
            return self.tolerance
        return TOLERANCE_MM if self.spacing_known else TOLERANCE_VOXELS

    @property
    def policy(self) -> str:
        """POLICY with this tolerance, for a file whose rows hold what is undefined as null."""
        return (
            "What is undefined is null in the rows of the cases; the means count it as follows, in as many cases as "
            f"policy_applied says. {_DEFINITIONS}; NSD has a tolerance of {self.nsd_tolerance:g} {self.distance}."
        )


def units_of(plans: Plans) -> Units:
    """Those of a dataset."""
    return Units(plans.spacing_known, dimensions=plans.dimensions)


@dataclass(frozen=True)
class DirectedDistances:
    """From the outline of one mask to the nearest part of the other's outline, in the unit of the spacing; float32.

    voxels: (n,) of its boundary voxels, each of which has a neighbour outside of the mask across a face.
    elements: (m,) of its boundary elements, which lie between the centres of 2^d voxels (Nikolov et al. 2021).
    areas: (m,) of these elements, in the unit squared; lengths in 2D (double precision).
    """

    voxels: np.ndarray
    elements: np.ndarray
    areas: np.ndarray


@dataclass(frozen=True)
class SurfaceDistances:
    """Of two masks, both not empty: from the prediction's outline to the reference's, and back."""

    to_reference: DirectedDistances
    to_prediction: DirectedDistances


def evaluate_case(
    prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float], labels: Labels, units: Units
) -> dict[str, dict[str, float]]:
    """Metrics per output of `labels`, and of all of them merged as "foreground".

    prediction, reference: integer label arrays of the same shape, (z, y, x) or (y, x).
    spacing_mm: per axis of these arrays; unused where `units` say that it is not known.
    Returns {name: mask_metrics}; volumes in mm^3 (2D: mm^2), or in pixels or voxels when the spacing is unknown.
    Raises InputError when the shapes differ or a label value is none of `labels`.
    """
    _check(prediction, reference, labels)
    if labels.ignore is not None:
        ignored = reference == labels.ignore
        prediction, reference = np.where(ignored, 0, prediction), np.where(ignored, 0, reference)
    spacing = tuple(float(step) for step in spacing_mm) if units.spacing_known else (1.0,) * reference.ndim
    results = {}
    for (name, predicted), (_, true) in zip(labels.masks(prediction), labels.masks(reference), strict=True):
        results[_distinct(name, labels)] = mask_metrics(predicted, true, spacing, units.nsd_tolerance)
    if len(labels.names) == 1:
        return {**results, FOREGROUND: next(iter(results.values()))}
    masks = labels.foreground(prediction), labels.foreground(reference)
    return {**results, FOREGROUND: mask_metrics(*masks, spacing, units.nsd_tolerance)}


def mask_metrics(
    prediction: np.ndarray, reference: np.ndarray, spacing: Sequence[float], tolerance: float
) -> dict[str, float]:
    """Metrics of two boolean masks of one shape; `spacing` and `tolerance` in one unit of length.

    {"dice", "hd95", "nsd", "volume_predicted", "volume_reference", "diagonal"}, the last one the image's. Of two empty
    masks Dice, HD95 and NSD are NaN; of one, HD95 is.
    """
    voxel = math.prod(spacing)
    known = {
        "dice": dice(prediction, reference),
        "volume_predicted": int(prediction.sum()) * voxel,
        "volume_reference": int(reference.sum()) * voxel,
        "diagonal": math.hypot(*(size * step for size, step in zip(reference.shape, spacing, strict=True))),
    }
    if not (prediction.any() and reference.any()):
        return {**known, "hd95": math.nan, "nsd": known["dice"]}  # both empty: NaN, else 0
    distances = surface_distances(prediction, reference, spacing)
    return {**known, "hd95": hausdorff(distances, 95), "nsd": surface_dice(distances, tolerance)}


def dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Dice of two boolean masks; NaN when both are empty."""
    total = int(prediction.sum()) + int(reference.sum())
    return 2 * int((prediction & reference).sum()) / total if total else math.nan


def dice_by_policy(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Dice as means count it: 1 when both masks are empty."""
    return with_policy({"dice": dice(prediction, reference)})["dice"]


def surface_distances(prediction: np.ndarray, reference: np.ndarray, spacing: Sequence[float]) -> SurfaceDistances:
    """Of two boolean masks of one shape, (z, y, x) or (y, x), by MONAI. spacing: per axis.

    Raises ValueError for an empty mask, to which there is no distance.
    """
    if not (prediction.any() and reference.any()):
        raise ValueError("Expected two masks that are not empty.")
    import torch
    from monai.metrics.utils import get_edge_surface_distance

    box = _bounding_box(prediction | reference)
    predicted, true = (torch.from_numpy(np.ascontiguousarray(mask[box])) for mask in (prediction, reference))
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI deprecates an argument that it passes itself
        for between_voxels in (False, True):
            found[between_voxels] = get_edge_surface_distance(
                predicted, true, spacing=list(spacing), use_subvoxels=between_voxels, symmetric=True
            )
    (edges, elements, areas), (_, voxels, _) = found[True], found[False]
    return SurfaceDistances(
        *(
            DirectedDistances(voxels[side].numpy(), elements[side].numpy(), areas[side][edges[side]].numpy())
            for side in (0, 1)
        )
    )


def hausdorff(distances: SurfaceDistances, percent: float = 100) -> float:
    """The larger of the two directed percentiles of the distances between boundary voxels; 100: Hausdorff's own."""
    import torch

    directed = (distances.to_reference, distances.to_prediction)
    return max(float(torch.quantile(torch.from_numpy(side.voxels), percent / 100)) for side in directed)


def surface_dice(distances: SurfaceDistances, tolerance: float) -> float:
    """The share of both outlines, by area, that is at most `tolerance` from the other (NSD; Nikolov et al. 2021)."""
    import torch

    directed = (distances.to_reference, distances.to_prediction)
    near, back = (torch.from_numpy(side.areas[side.elements <= tolerance]).sum() for side in directed)
    whole, whole_back = (torch.from_numpy(side.areas).sum() for side in directed)
    return float(((near + back) / (whole + whole_back)).float())


def with_policy(row: Row) -> dict[str, float]:
    """A row of metrics as means and tests count it: what is undefined, as POLICY says; all else as it is."""
    case = _policy_case(row)
    if case == EMPTY_IN_BOTH:
        return {**row, "dice": 1.0, "hd95": 0.0, "nsd": 1.0}
    if case == EMPTY_IN_ONE:
        return {**row, "hd95": row["diagonal"]}
    return dict(row)


def policy_counts(rows: Iterable[Row]) -> dict[str, int]:
    """In how many rows of a class POLICY decides: {"empty_in_both": n, "empty_in_one": n}."""
    counts = Counter(_policy_case(row) for row in rows)
    return {case: counts[case] for case in (EMPTY_IN_BOTH, EMPTY_IN_ONE)}


def _policy_case(row: Row) -> str | None:
    if math.isnan(row["dice"]):
        return EMPTY_IN_BOTH
    return EMPTY_IN_ONE if math.isnan(row.get("hd95", 0.0)) else None


def _check(prediction: np.ndarray, reference: np.ndarray, labels: Labels) -> None:
    if prediction.shape != reference.shape:
        raise InputError(
            "prediction",
            f"the reference's shape {reference.shape}",
            str(prediction.shape),
            "Predict on the image that the reference was drawn on.",
        )
    for role, array in (("prediction", prediction), ("reference", reference)):
        unknown = sorted(set(np.unique(array).tolist()) - set(labels.valid_values))
        if unknown:
            raise InputError(
                role,
                f"label values {listed(sorted(labels.valid_values), 20)}",
                listed(unknown),
                "Correct the file, or name the dataset whose labels these are with -d.",
            )


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    box = []
    for axis in range(mask.ndim):
        present = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(int(present[0]), int(present[-1]) + 1))
    return tuple(box)


def _distinct(name: str, labels: Labels) -> str:
    """A class that is itself called "foreground", among several, must not hide the merged one."""
    return f"{name} (class)" if name == FOREGROUND and len(labels.names) > 1 else name
