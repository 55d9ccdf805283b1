"""quality.json: from which quality score on a prediction asks for a review, for each number of runs per fold."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from mednca_runtime.files import read_json, write_json
from mednca_runtime.quality import FOREGROUND, Threshold, learn_threshold

from ..evaluation.results import current_digest, read_run
from .trained import trained_folds

SCHEMA = 1
Thresholds = Mapping[int, Threshold]  # by runs per fold


def calibrate(model_folder: Path) -> dict[int, Threshold]:
    """Learns the thresholds from the summaries of all validated folds and writes `quality.json` into the model folder.

    Each case counts with its out-of-fold foreground score and foreground Dice, once per number of runs. The fold
    "all" does not count: it has seen its cases in training; nor do folds of other plans than the model folder's.
    Returns the thresholds by runs per fold; none, and no file, for a model whose runs do not differ.
    """
    model_folder = Path(model_folder)
    digest = current_digest(model_folder)
    summaries = {fold: model_folder / f"fold_{fold}" / "summary.json" for fold in trained_folds(model_folder)}
    folds = [fold for fold, path in summaries.items() if fold != "all" and path.is_file()]
    folds = [fold for fold in folds if (read_run(summaries[fold].parent) or {}).get("digest") == digest]
    points: dict[int, list[tuple[float, float]]] = {}
    for fold in folds:
        for entry in read_json(summaries[fold])["cases"].values():
            dice = entry["classes"][FOREGROUND]["dice"]
            for runs, scores in ((entry.get("quality") or {}).get("runs") or {}).items():
                points.setdefault(int(runs), []).append((_number(scores[FOREGROUND]), _number(dice)))
    learned = {runs: learn_threshold(*zip(*pairs, strict=True)) for runs, pairs in sorted(points.items())}
    thresholds = {runs: threshold for runs, threshold in learned.items() if threshold is not None}
    if thresholds:
        by_runs = {str(runs): asdict(threshold) for runs, threshold in thresholds.items()}
        write_json(_file(model_folder), {"schema": SCHEMA, "digest": digest, "folds": folds, "thresholds": by_runs})
    return thresholds


def read_thresholds(model_folder: Path) -> dict[int, Threshold]:
    """The thresholds by runs per fold; empty where the model was not calibrated with its present plans."""
    path = _file(Path(model_folder))
    stored = read_json(path, SCHEMA) if path.is_file() else {}
    if stored.get("digest") != current_digest(Path(model_folder)):
        return {}
    return {int(runs): Threshold(**values) for runs, values in stored.get("thresholds", {}).items()}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _file(model_folder: Path) -> Path:
    return model_folder / "quality.json"
