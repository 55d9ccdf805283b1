"""quality.json: from which quality score on a prediction asks for a review, for each number of runs per fold."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from mednca_runtime.files import read_json, write_json
from mednca_runtime.quality import FOREGROUND, Threshold, learn_threshold

from .trained import trained_folds

SCHEMA = 1
Thresholds = Mapping[int, Threshold]  # by runs per fold


def calibrate(model_folder: Path) -> dict[int, Threshold]:
    """Learns the thresholds from the summaries of all validated folds and writes `quality.json` into the model folder.

    Each case counts with its out-of-fold foreground score and foreground Dice, once per number of runs. The fold
    "all" does not count: it has seen its cases in training. Returns the thresholds by runs per fold; none, and no
    file, for a model whose runs do not differ.
    """
    model_folder = Path(model_folder)
    summaries = {fold: model_folder / f"fold_{fold}" / "summary.json" for fold in trained_folds(model_folder)}
    folds = [fold for fold, path in summaries.items() if fold != "all" and path.is_file()]
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
        write_json(_file(model_folder), {"schema": SCHEMA, "folds": folds, "thresholds": by_runs})
    return thresholds


def read_thresholds(model_folder: Path) -> dict[int, Threshold]:
    """The thresholds by runs per fold; empty where the model was not calibrated."""
    path = _file(Path(model_folder))
    if not path.is_file():
        return {}
    return {int(runs): Threshold(**stored) for runs, stored in read_json(path, SCHEMA)["thresholds"].items()}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _file(model_folder: Path) -> Path:
    return model_folder / "quality.json"
