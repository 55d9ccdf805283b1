"""Keeping only the largest components of a class."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..results.summary import Metrics
from ..runtime.components import outside_largest
from ..runtime.errors import InputError
from ..runtime.images import read_labels
from ..runtime.labels import Labels
from .metrics import Units, evaluate_case

LARGE_SHARE = 0.2  # of a class's volume: so much may be more than stray islands


@dataclass(frozen=True)
class Removed:
    """What a class lost: the number of its components, and their share of its voxels."""

    name: str
    islands: int
    share: float

    def __str__(self) -> str:
        percent = f"{100 * self.share:.1f} %" if self.share >= 0.0005 else "less than 0.1 %"
        islands = f"{self.islands} island{'s' * (self.islands > 1)} of {self.name}"
        large = ": a large part, look at the case" if self.share > LARGE_SHARE else ""
        return f"{islands} removed, {percent} of its volume{large}"


def apply_postprocessing(
    labels: np.ndarray, components: Mapping[str, int], labels_def: Labels
) -> tuple[np.ndarray, tuple[Removed, ...]]:
    """A copy of `labels`, (z, y, x) or (y, x), with only the largest components of each class, and what was removed.

    components: output of `labels_def` -> how many of its components (26- or 8-connected) are kept, applied in the
    outputs' order; absent: all. A voxel outside of them becomes background. With regions it leaves the region and all
    regions inside of it, and gets the label of what still contains it: a stray tumour core within the tumour becomes
    tumour. Of equally large components the first in memory order stays.
    Raises InputError for a name that is no output, and for a number below 1.
    """
    _check(components, labels_def)
    result, removed = labels.copy(), []
    for index, name in enumerate(labels_def.names):
        if name not in components:
            continue
        mask = np.logical_or.reduce([result == value for value in labels_def.values[index]])
        stray, islands = outside_largest(mask, components[name])
        if not islands:
            continue
        removed.append(Removed(name, islands, int(np.count_nonzero(stray)) / int(np.count_nonzero(mask))))
        for value in labels_def.values[index]:
            result[stray & (result == value)] = _label_without(value, index, labels_def)
    return result, tuple(removed)


def postprocessed_metrics(
    prediction: Path, reference: Path, raw: Metrics, components: Mapping[str, int], labels_def: Labels, known: bool
) -> Metrics:
    """Metrics of a label file of which only `components` are kept; `raw`, the file's own, where that changes nothing.

    known: whether the spacing is.
    """
    predicted = read_labels(prediction)
    kept, removed = apply_postprocessing(predicted.array[0], components, labels_def)
    if not removed:
        return raw
    true = read_labels(reference, on=predicted.geometry)
    return evaluate_case(kept, true.array[0], true.spacing_mm, labels_def, Units(known))


def _check(components: Mapping[str, int], labels_def: Labels) -> None:
    unknown = set(components) - set(labels_def.names)
    if unknown:
        known = ", ".join(labels_def.names)
        raise InputError("postprocessing", f"some of the classes {known}", ", ".join(sorted(unknown)))
    for name, number in components.items():
        if not isinstance(number, int) or number < 1:
            raise InputError("postprocessing", f"at least 1 component of {name}", repr(number))


def _label_without(value: int, index: int, labels_def: Labels) -> int:
    """What a voxel labelled `value` becomes when it leaves output `index` and every output inside of that one."""
    left = set(labels_def.values[index])
    result = 0
    for values, painted in zip(labels_def.values, labels_def.region_order, strict=False):  # no regions: stays 0
        if value in values and not set(values) <= left:
            result = painted
    return 0 if result in left else result
