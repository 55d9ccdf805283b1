"""From which quality score on a prediction of a model asks for a review, learned from its folds."""

import math

from ..evaluation.metrics import with_policy
from ..results.model_folder import ModelFolder, QualityRecord
from ..runtime.quality import FOREGROUND, Threshold, learn_threshold
from .trained import present_digest


def calibrate(folder: ModelFolder) -> Threshold | None:
    """Learns the threshold from the summaries of all validated folds and keeps it in the model's folder.

    Each case counts with its out-of-fold foreground score and foreground Dice. The fold "all" does not count: it has
    seen its cases in training; nor do folds of other plans than the model folder's.
    Returns None, and keeps nothing, for a model without scores.
    """
    digest, trained = present_digest(folder), folder.trained_folds()
    folds = [fold for fold in folder.folds() if fold.name in trained and fold.name != "all"]
    folds = [fold for fold in folds if fold.summary_file.is_file() and (run := fold.run()) and run.digest == digest]
    scores, dice = [], []
    for fold in folds:
        for case in fold.summary().cases.values():
            if (case.quality or {}).get("score"):
                score = case.score(FOREGROUND)
                scores.append(math.nan if score is None else score)
                dice.append(with_policy(case.classes[FOREGROUND])["dice"])
    threshold = learn_threshold(scores, dice)
    numbers = tuple(int(fold.name) for fold in folds)
    folder.write_quality(QualityRecord(digest, numbers, threshold) if threshold else None)
    return threshold


def read_threshold(folder: ModelFolder) -> Threshold | None:
    """None where the model was not calibrated with its present plans and the present score."""
    stored = folder.quality()
    return stored.threshold if stored and stored.digest == present_digest(folder) else None
