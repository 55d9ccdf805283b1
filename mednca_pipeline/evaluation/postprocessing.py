"""Keeping only the largest component of a class: applied to labels, and chosen on out-of-fold predictions."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mednca_runtime.errors import InputError
from mednca_runtime.images import read_labels
from mednca_runtime.labels import Labels
from mednca_runtime.quality import FOREGROUND

from .metrics import dice

SCHEMA = 1
_GAIN = 1e-9  # a mean Dice counts as changed beyond this


def apply_postprocessing(labels: np.ndarray, names: Sequence[str], labels_def: Labels) -> np.ndarray:
    """A copy of `labels`, (z, y, x) or (y, x), with only the largest component (26- or 8-connected) of each class.

    names: outputs of `labels_def`, applied in its order. A voxel outside the largest component becomes background.
    With regions it leaves the region and all regions inside of it, and gets the label of what still contains it: a
    stray tumour core within the tumour becomes tumour. Of equally large components the first in memory order stays.
    Raises InputError for a name that is no output.
    """
    unknown = set(names) - set(labels_def.names)
    if unknown:
        raise InputError(f"postprocessing: expected classes of {labels_def.names}, found {sorted(unknown)}.")
    result = labels.copy()
    for index, name in enumerate(labels_def.names):
        if name not in names:
            continue
        stray = outside_largest(np.isin(result, labels_def.values[index]))
        for value in labels_def.values[index]:
            result[stray & (result == value)] = _label_without(value, index, labels_def)
    return result


def outside_largest(mask: np.ndarray) -> np.ndarray:
    """The voxels of a boolean mask that are not in its largest component."""
    from scipy import ndimage

    components, count = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    if count < 2:
        return np.zeros_like(mask)
    largest = int(np.argmax(np.bincount(components.ravel())[1:])) + 1
    return mask & (components != largest)


def choose_postprocessing(
    predictions: Mapping[str, Path], references: Mapping[str, Path], labels_def: Labels
) -> dict[str, Any]:
    """Which classes to keep only the largest component of: {"classes": names, "evidence": {name: {...}}}.

    predictions, references: label files by case, the predictions out of fold. A class is chosen where this raises
    the mean Dice over classes and cases and lowers no class's mean; one class after the other, on top of those
    already chosen. The evidence holds each candidate's mean Dice per class before and after.
    Raises InputError when a prediction has no reference.
    """
    if set(predictions) - set(references):
        lacking = ", ".join(sorted(set(predictions) - set(references))[:5])
        raise InputError(f"postprocessing: expected a reference for every prediction, found none for {lacking}.")
    chosen: list[str] = []
    evidence = {}
    before = _mean_dice(predictions, references, labels_def, lambda labels: labels)
    for name in labels_def.names:
        candidate = [*chosen, name]
        after = _mean_dice(
            predictions,
            references,
            labels_def,
            lambda labels, names=candidate: apply_postprocessing(labels, names, labels_def),
        )
        gains = {each: after[each] - before[each] for each in before}
        accepted = sum(gains[each] for each in labels_def.names) > _GAIN and min(gains.values()) >= -_GAIN
        evidence[name] = {"dice_before": before, "dice_after": after, "chosen": accepted}
        if accepted:
            chosen, before = candidate, after
    return {"classes": chosen, "evidence": evidence, "cases": len(predictions)}


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
    change: Callable[[np.ndarray], np.ndarray],
) -> dict[str, float]:
    """Mean Dice over the cases, per output and of the merged foreground."""
    totals: dict[str, float] = {}
    for case, file in predictions.items():
        reference = read_labels(references[case]).array[0]
        prediction = change(read_labels(file).array[0])
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
            totals[name] = totals.get(name, 0.0) + dice(predicted, true)
    return {name: total / len(predictions) for name, total in totals.items()}
