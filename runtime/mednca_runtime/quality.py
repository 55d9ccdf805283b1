"""The NCA quality metric: how much the stochastic runs of one model disagree about a case, and what to make of it.

M3D-NCA (Kalkhof and Mukhopadhyay, MICCAI 2023): the voxelwise standard deviation over the runs, summed, over the sum of
the mean. Zero when all runs agree; larger is worse.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .ensemble import Moments
from .labels import Labels

FOREGROUND = "foreground"
FLAGS = ("ok", "review", "empty", "uncalibrated", "not available")


@dataclass(frozen=True)
class Threshold:
    """A score above `value` asks for a review. `rule` says in words where the value comes from."""

    value: float
    rule: str


def quality_score(sd: np.ndarray, mean: np.ndarray) -> float:
    """Sum of the voxelwise sd over the sum of the mean, of arrays of one shape; NaN where the mean sums to 0."""
    total = float(mean.sum(dtype=np.float64))
    return float(sd.sum(dtype=np.float64)) / total if total > 0 else math.nan


class RunQuality:
    """Collects one fold's runs on one case, and the scores after each of them from the second on.

    moments: mean and sd of the outputs, (K, *spatial).
    scores: {number of runs: {class: score, ..., "foreground": score}}, for 2 runs and more; what a prediction with
        that many runs would have said, so that thresholds can be learned for every number of runs at once.

    The probability of foreground is 1 - background (softmax), or that of the most probable region (sigmoid).
    """

    def __init__(self, labels: Labels) -> None:
        self.moments = Moments()
        self.scores: dict[int, dict[str, float]] = {}
        self._labels = labels
        self._largest = Moments()  # of the most probable region; unused without regions

    def add(self, probabilities: np.ndarray) -> None:
        """One more run: probabilities (K, *spatial), one map per output of the labels."""
        self.moments.add(probabilities)
        if self._labels.has_regions:
            self._largest.add(probabilities.max(axis=0))
        if self.moments.count > 1:
            self.scores[self.moments.count] = self._score()

    def _score(self) -> dict[str, float]:
        mean, sd = self.moments.mean, self.moments.sd
        first = self._labels.n_outputs - len(self._labels.names)
        scores = {
            name: quality_score(sd[index], mean[index]) for index, name in enumerate(self._labels.names, start=first)
        }
        if self._labels.has_regions:
            return scores | {FOREGROUND: quality_score(self._largest.sd, self._largest.mean)}
        return scores | {FOREGROUND: quality_score(sd[0], 1 - mean[0])}


def average_scores(folds: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Mean over the folds per class. Folds whose score is NaN (nothing predicted) do not count; NaN where all are."""
    folds = list(folds)
    averaged = {}
    for name in folds[0] if folds else ():
        finite = [fold[name] for fold in folds if math.isfinite(fold[name])]
        averaged[name] = sum(finite) / len(finite) if finite else math.nan
    return averaged


def learn_threshold(
    scores: Sequence[float], dice: Sequence[float], poor_dice: float = 0.7, minimum_poor: int = 3
) -> Threshold | None:
    """The threshold from the scores and foreground Dice of validation cases (one entry per case).

    With at least `minimum_poor` cases below `poor_dice`, and some that are not, the one that separates them best
    (largest sensitivity + specificity - 1; of equals the lowest), if it separates them at all; else the 95th
    percentile of the scores. Cases with a NaN (nothing predicted or to be found) do not count; None if none is left.
    """
    pairs = [(float(s), float(d)) for s, d in zip(scores, dice, strict=True) if math.isfinite(s) and math.isfinite(d)]
    if not pairs:
        return None
    found, poor = np.array([pair[0] for pair in pairs]), np.array([pair[1] < poor_dice for pair in pairs])
    if minimum_poor <= poor.sum() < len(poor):
        value, separation = _best_separation(found, poor)
        if separation > 0:
            return Threshold(
                value,
                f"best separates the {poor.sum()} of {len(poor)} validation cases with a foreground Dice below "
                f"{poor_dice:g} (sensitivity + specificity - 1 = {separation:.2f})",
            )
    return Threshold(float(np.percentile(found, 95)), f"95th percentile of the scores of {len(poor)} validation cases")


def flag(score: float, threshold: float | None, *, empty: bool, stochastic: bool = True) -> str:
    """One of FLAGS for a case.

    empty: nothing was segmented. stochastic: False for models whose runs do not differ ("not available").
    threshold: None when none was learned for this number of runs ("uncalibrated").
    """
    if empty:
        return "empty"
    if not stochastic:
        return "not available"
    if threshold is None:
        return "uncalibrated"
    return "ok" if score <= threshold else "review"  # NaN is no reason to trust a case


def _best_separation(scores: np.ndarray, poor: np.ndarray) -> tuple[float, float]:
    """(threshold, sensitivity + specificity - 1) over the midpoints between neighbouring scores."""
    levels = np.unique(scores)
    candidates = (levels[:-1] + levels[1:]) / 2
    if candidates.size == 0:
        return float(levels[0]), 0.0
    above = scores[None] > candidates[:, None]  # (candidates, cases)
    youden = above[:, poor].mean(axis=1) - above[:, ~poor].mean(axis=1)
    best = int(np.argmax(youden))
    return float(candidates[best]), float(youden[best])
