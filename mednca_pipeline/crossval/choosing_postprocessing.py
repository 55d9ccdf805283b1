"""Which components a model keeps, chosen on its out-of-fold predictions."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.component_removal import apply_postprocessing, postprocessed_metrics
from ..evaluation.metrics import dice_by_policy
from ..evaluation.summary import label_files
from ..plans.plans import Plans
from ..results.postprocessing import Postprocessing, raw_sha256
from ..runtime.errors import InputError
from ..runtime.images import read_labels
from ..runtime.labels import Labels
from ..runtime.listing import counted, listed
from ..runtime.quality import FOREGROUND
from .collect import ModelResults

log = logging.getLogger(__name__)
_GAIN = 1e-9  # a mean Dice counts as changed beyond this


def update_postprocessing(results: ModelResults, references: Mapping[str, Path], plans: Plans) -> Postprocessing:
    """Chooses and measures anew, unless what is there was chosen later than the folds were validated.

    references: label files by case. Raises InputError where a validation case's label file is missing.
    """
    newest = max(result.folder.summary_file.stat().st_mtime_ns for result in results.folds)
    stored = _fitting(results, plans)
    if stored and results.folder.postprocessing_file.stat().st_mtime_ns > newest:
        return stored
    predictions: dict[str, Path] = {}
    for result in results.folds:
        predictions |= label_files(result.folder.validation)
    cases = results.validated
    missing = sorted(set(cases) - set(predictions))
    if missing:
        found = f"none of {listed(missing)}"
        remedy = "Validate the fold again with mednca_train --val."
        raise InputError(results.folder.path, "a label file of every validation case", found, remedy)
    log.info("%s: choosing the postprocessing on %s", results.name, counted(len(cases), "out-of-fold case"))
    predictions = {case: predictions[case] for case in cases}
    components, evidence = choose_postprocessing(predictions, references, plans.labels, plans.components)
    metrics = {
        case: postprocessed_metrics(
            path, references[case], cases[case].raw_classes, components, plans.labels, plans.spacing_known
        )
        for case, path in predictions.items()
    }
    folds = tuple(result.fold for result in results.folds)
    chosen = Postprocessing(components, evidence, folds, results.folds[0].run.digest or "", metrics, raw_sha256(cases))
    results.folder.write_postprocessing(chosen)
    return chosen


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
    if lacking := sorted(set(predictions) - set(references)):
        raise InputError("postprocessing", "a reference for every prediction", f"none for {listed(lacking)}")
    chosen: dict[str, int] = {}
    evidence = {}
    before = _mean_dice(predictions, references, labels_def, chosen)
    for name in labels_def.names:
        candidate = {**chosen, name: planned.get(name, 1)}
        after = _mean_dice(predictions, references, labels_def, candidate)
        gains = {each: after[each] - before[each] for each in before}
        gain = sum(gains[each] for each in labels_def.names)
        accepted = min(gains.values()) >= -_GAIN and (gain > _GAIN or name in planned)
        tried = {"components": candidate[name], "dice_before": before, "dice_after": after}
        evidence[name] = {**tried, "chosen": accepted}
        if accepted:
            chosen, before = candidate, after
    return chosen, evidence


def _fitting(results: ModelResults, plans: Plans) -> Postprocessing | None:
    """The stored choice if it is of these folds, and was made among what the plan proposes now."""
    stored = results.measured_with
    if stored is None or stored.folds != tuple(result.fold for result in results.folds):
        return None
    tried = {name: entry["components"] for name, entry in stored.evidence.items()}
    return stored if tried == {name: plans.components.get(name, 1) for name in plans.labels.names} else None


def _mean_dice(
    predictions: Mapping[str, Path], references: Mapping[str, Path], labels_def: Labels, components: Mapping[str, int]
) -> dict[str, float]:
    """Mean Dice over the cases with `components`, per output and of the merged foreground."""
    totals: dict[str, float] = {}
    for case, file in predictions.items():
        stored = read_labels(file)
        reference = read_labels(references[case], on=stored.geometry).array[0]
        prediction, _ = apply_postprocessing(stored.array[0], components, labels_def)
        if labels_def.ignore is not None:
            prediction = np.where(reference == labels_def.ignore, 0, prediction)
        predicted, true = dict(labels_def.masks(prediction)), dict(labels_def.masks(reference))
        predicted.setdefault(FOREGROUND, labels_def.foreground(prediction))
        true.setdefault(FOREGROUND, labels_def.foreground(reference))
        for name, mask in predicted.items():
            totals[name] = totals.get(name, 0.0) + dice_by_policy(mask, true[name])
    return {name: total / len(predictions) for name, total in totals.items()}
