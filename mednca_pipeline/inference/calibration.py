"""What a model's folds say of its predictions: its validation Dice, and the quality score that asks for a review."""

import math

from ..evaluation.metrics import with_policy
from ..models.registry import read_plans
from ..results.fold_folder import FoldFolder
from ..results.model_folder import ModelFolder, QualityRecord
from ..results.summary import CaseResult
from ..runtime.errors import InputError
from ..runtime.quality import FOREGROUND, Standing, Threshold, Validation, learn_threshold


def calibrate(folder: ModelFolder) -> Standing:
    """Learns it from the summaries of all validated folds and keeps it in the model's folder.

    Each case counts with its out-of-fold foreground score and foreground Dice. The fold "all" does not count: it has
    seen its cases in training; nor do folds of other plans than the model folder's.
    Keeps nothing for a model without a validated case.
    """
    folds = validated_folds(folder)
    cases = [case for fold in folds for case in fold.summary().cases.values()]
    standing = Standing(_validation(cases), _threshold(cases))
    record = None
    if standing.validation or standing.threshold:
        numbers = tuple(int(fold.name) for fold in folds)
        record = QualityRecord(present_digest(folder), numbers, standing.threshold, standing.validation)
    folder.write_quality(record)
    return standing


def read_standing(folder: ModelFolder) -> Standing:
    """As it was kept; the validation Dice of a file of earlier versions, or without a file, from the folds' summaries.

    Nothing is known where the model was not validated with its present plans, and no threshold where it was not
    calibrated with the present score.
    """
    stored = folder.quality()
    kept = stored if stored and stored.digest == present_digest(folder) else None
    if kept and kept.validation:
        return Standing(kept.validation, kept.threshold)
    try:
        cases = [case for fold in validated_folds(folder) for case in fold.summary().cases.values()]
    except InputError:  # a damaged summary proves nothing, and prediction does not need it
        cases = []
    return Standing(_validation(cases), kept.threshold if kept else None)


def present_digest(folder: ModelFolder) -> str | None:
    """Digest of the plans kept in a model's folder, or None when there are none."""
    record = folder.record()
    if record is None or record.members or not folder.plans_file.is_file():
        return None
    return read_plans(folder.plans_file).digest(record.config, record.model)


def validated_folds(folder: ModelFolder) -> list[FoldFolder]:
    """The numbered folds that were trained with the folder's plans and validated."""
    digest, trained = present_digest(folder), folder.trained_folds()
    folds = [fold for fold in folder.folds() if fold.name in trained and fold.name != "all"]
    return [fold for fold in folds if fold.summary_file.is_file() and (run := fold.run()) and run.digest == digest]


def _validation(cases: list[CaseResult]) -> Validation | None:
    """Without the cases that have no foreground in prediction and reference: finding nothing there proves little."""
    found = [case.classes[FOREGROUND]["dice"] for case in cases]
    dice = [value for value in found if not math.isnan(value)]
    return Validation(sum(dice) / len(dice), len(dice)) if dice else None


def _threshold(cases: list[CaseResult]) -> Threshold | None:
    scores, dice = [], []
    for case in cases:
        if (case.quality or {}).get("score"):
            score = case.score(FOREGROUND)
            scores.append(math.nan if score is None else score)
            dice.append(with_policy(case.classes[FOREGROUND])["dice"])
    return learn_threshold(scores, dice)
