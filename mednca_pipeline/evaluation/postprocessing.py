"""Keeping only the largest components of a class: applied to labels, and chosen on out-of-fold predictions."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..runtime.cropping import nonzero_box
from ..runtime.errors import InputError
from ..runtime.files import read_json
from ..runtime.images import read_labels
from ..runtime.labels import Labels
from ..runtime.quality import FOREGROUND
from ..runtime.records import from_dict
from .metrics import Units, dice_by_policy, evaluate_case, undefined_as_nan

SCHEMA = 2
FILE = "postprocessing.json"
LARGE_SHARE = 0.2  # of a class's volume: so much may be more than stray islands
_GAIN = 1e-9  # a mean Dice counts as changed beyond this

Metrics = dict[str, dict[str, float]]  # of one case, per class; NaN where undefined


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


@dataclass(frozen=True)
class Postprocessing:
    """A model's postprocessing.json: what its out-of-fold cases say about removing components.

    components: class -> how many of its largest components are kept; absent: all.
    evidence: class -> how many were tried, the mean Dice of each class before and after, and whether it was chosen.
    metrics: case -> its metrics with `components`, NaN where undefined (null in the file); empty in files of schema 1,
        which did not measure them.
    folds, digest: what it was chosen on. raw_sha256: of the raw metrics of these cases, see `raw_sha256`.
    """

    components: dict[str, int]
    evidence: dict[str, dict[str, Any]]
    folds: tuple[int, ...]
    digest: str
    metrics: dict[str, dict[str, dict[str, float | None]]] = field(default_factory=dict)
    raw_sha256: str = ""
    schema: int = SCHEMA


def raw_sha256(cases: Mapping[str, Mapping[str, Any]]) -> str:
    """Of the raw metrics of all cases: another value means that folds were trained or validated again."""
    metrics = {case: entry["classes"] for case, entry in cases.items()}
    return hashlib.sha256(json.dumps(metrics, sort_keys=True).encode()).hexdigest()


def read_postprocessing(model_folder: Path, digest: str) -> Postprocessing | None:
    """What was chosen for the model of these plans, or None where nothing was chosen yet.

    Files of schema 1 list the classes of which one component is kept. Raises InputError for any other schema.
    """
    path = Path(model_folder) / FILE
    stored = read_json(path) if path.is_file() else {}
    if stored.get("digest") != digest:
        return None
    if stored.get("schema") == 1:
        components = dict.fromkeys(stored["classes"], 1)
        return Postprocessing(components, stored.get("evidence", {}), tuple(stored.get("folds", ())), digest)
    chosen = from_dict(Postprocessing, read_json(path, schema=SCHEMA))
    return replace(chosen, metrics={case: undefined_as_nan(classes) for case, classes in chosen.metrics.items()})


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


def outside_largest(mask: np.ndarray, n: int = 1) -> tuple[np.ndarray, int]:
    """The voxels of a bool mask that are not in its `n` largest components, and how many components these are."""
    from scipy import ndimage

    outside = np.zeros_like(mask)
    box = tuple(slice(start, stop) for start, stop in nonzero_box(mask[None]))
    inside = mask[box]
    # Not cc3d: 4.1.1 splits components of 2D masks and fails on volumes of a single line.
    components, count = ndimage.label(inside, structure=np.ones((3,) * mask.ndim))
    if count <= n:
        return outside, 0
    voxels = np.bincount(components.reshape(-1), minlength=count + 1)[1:]
    order = np.argsort(-voxels)
    if voxels[order[n - 1]] == voxels[order[n]]:  # a tie decides
        _, first = np.unique(components[inside], return_index=True)  # in memory order
        order = np.lexsort((first, -voxels))
    stray = np.ones(count + 1, bool)
    stray[1 + order[:n]] = False
    outside[box] = inside & stray[components]
    return outside, count - n


def choose_postprocessing(
    predictions: Mapping[str, Path],
    references: Mapping[str, Path],
    labels_def: Labels,
    planned: Mapping[str, int] | None = None,
) -> tuple[dict[str, int], dict[str, dict[str, Any]]]:
    """How many components of which classes to keep, {class: n}, and the evidence as in `Postprocessing`.

    predictions, references: label files by case, the predictions out of fold. planned: the number that is tried; 1
    for a class that is not in it. It is chosen where it raises the mean Dice over classes and cases and lowers no
    class's mean, and where the plan has it and no mean changes; one class after the other, on top of those already
    chosen. Raises InputError when a prediction has no reference.
    """
    planned = planned or {}
    if set(predictions) - set(references):
        lacking = ", ".join(sorted(set(predictions) - set(references))[:5])
        raise InputError(f"postprocessing: expected a reference for every prediction, found none for {lacking}.")
    chosen: dict[str, int] = {}
    evidence = {}
    before = _mean_dice(predictions, references, labels_def, chosen)
    for name in labels_def.names:
        candidate = {**chosen, name: planned.get(name, 1)}
        after = _mean_dice(predictions, references, labels_def, candidate)
        gains = {each: after[each] - before[each] for each in before}
        gain = sum(gains[each] for each in labels_def.names)
        accepted = min(gains.values()) >= -_GAIN and (gain > _GAIN or name in planned)
        evidence[name] = {
            "components": candidate[name],
            "dice_before": before,
            "dice_after": after,
            "chosen": accepted,
        }
        if accepted:
            chosen, before = candidate, after
    return chosen, evidence


def postprocessed_metrics(
    prediction: Path, reference: Path, raw: Metrics, components: Mapping[str, int], labels_def: Labels, known: bool
) -> Metrics:
    """Metrics of a label file of which only `components` are kept; `raw`, the file's own, where that changes nothing.

    known: whether the spacing is.
    """
    kept, removed = apply_postprocessing(read_labels(prediction).array[0], components, labels_def)
    if not removed:
        return raw
    true = read_labels(reference)
    return evaluate_case(kept, true.array[0], true.spacing_mm, labels_def, Units(known))


def _check(components: Mapping[str, int], labels_def: Labels) -> None:
    unknown = set(components) - set(labels_def.names)
    if unknown:
        raise InputError(f"postprocessing: expected classes of {labels_def.names}, found {sorted(unknown)}.")
    for name, number in components.items():
        if not isinstance(number, int) or number < 1:
            raise InputError(f"postprocessing: expected at least 1 component of {name}, found {number!r}.")


def _label_without(value: int, index: int, labels_def: Labels) -> int:
    """What a voxel labelled `value` becomes when it leaves output `index` and every output inside of that one."""
    left = set(labels_def.values[index])
    result = 0
    for values, painted in zip(labels_def.values, labels_def.region_order, strict=False):  # no regions: stays 0
        if value in values and not set(values) <= left:
            result = painted
    return 0 if result in left else result


def _mean_dice(
    predictions: Mapping[str, Path],
    references: Mapping[str, Path],
    labels_def: Labels,
    components: Mapping[str, int],
) -> dict[str, float]:
    """Mean Dice over the cases with `components`, per output and of the merged foreground."""
    totals: dict[str, float] = {}
    for case, file in predictions.items():
        reference = read_labels(references[case]).array[0]
        prediction, _ = apply_postprocessing(read_labels(file).array[0], components, labels_def)
        if labels_def.ignore is not None:
            prediction = np.where(reference == labels_def.ignore, 0, prediction)
        pairs = [
            (name, predicted, true)
            for (name, predicted), (_, true) in zip(
                labels_def.masks(prediction), labels_def.masks(reference), strict=True
            )
        ]
        if FOREGROUND not in labels_def.names:
            pairs.append((FOREGROUND, labels_def.foreground(prediction), labels_def.foreground(reference)))
        for name, predicted, true in pairs:
            totals[name] = totals.get(name, 0.0) + dice_by_policy(predicted, true)
    return {name: total / len(predictions) for name, total in totals.items()}
