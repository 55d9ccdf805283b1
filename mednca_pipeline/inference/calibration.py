"""quality.json: from which quality score on a prediction asks for a review."""

import math
from dataclasses import asdict
from pathlib import Path

from ..evaluation.metrics import with_policy
from ..evaluation.results import current_digest, read_run
from ..runtime.files import read_json, write_json
from ..runtime.quality import FOREGROUND, Threshold, learn_threshold
from .trained import trained_folds

SCHEMA = 2  # 1: thresholds of the standard deviation of random runs


def calibrate(model_folder: Path) -> Threshold | None:
    """Learns the threshold from the summaries of all validated folds and writes `quality.json` into the model folder.

    Each case counts with its out-of-fold foreground score and foreground Dice. The fold "all" does not count: it has
    seen its cases in training; nor do folds of other plans than the model folder's.
    Returns None, and writes no file, for a model without scores.
    """
    model_folder = Path(model_folder)
    digest = current_digest(model_folder)
    summaries = {fold: model_folder / f"fold_{fold}" / "summary.json" for fold in trained_folds(model_folder)}
    folds = [fold for fold, path in summaries.items() if fold != "all" and path.is_file()]
    folds = [fold for fold in folds if (read_run(summaries[fold].parent) or {}).get("digest") == digest]
    scores, dice = [], []
    for fold in folds:
        for entry in read_json(summaries[fold])["cases"].values():
            quality = (entry.get("quality") or {}).get("score")
            if quality:
                scores.append(_number(quality[FOREGROUND]))
                dice.append(with_policy(entry["classes"][FOREGROUND])["dice"])
    threshold = learn_threshold(scores, dice)
    if threshold is None:
        _file(model_folder).unlink(missing_ok=True)
        return None
    write_json(
        _file(model_folder), {"schema": SCHEMA, "digest": digest, "folds": folds, "threshold": asdict(threshold)}
    )
    return threshold


def read_threshold(model_folder: Path) -> Threshold | None:
    """None where the model was not calibrated with its present plans and the present score."""
    path = _file(Path(model_folder))
    stored = read_json(path) if path.is_file() else {}
    if stored.get("schema") != SCHEMA or stored.get("digest") != current_digest(Path(model_folder)):
        return None
    return Threshold(**stored["threshold"])


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _file(model_folder: Path) -> Path:
    return model_folder / "quality.json"
