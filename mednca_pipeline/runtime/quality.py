"""The quality score: how far the random runs of an NCA lie from its expected update, and what follows from it.

The score is the absolute difference of the probabilities, summed over all cells, divided by the sum of the expected
probabilities. It is zero when they agree; larger is worse. M3D-NCA (Kalkhof and Mukhopadhyay, MICCAI 2023) instead
takes the standard deviation of several random runs. One run beside the expected update says as much as six random runs
(docs/explanation/outline.md).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from .labels import Labels

FOREGROUND = "foreground"
POOR_DICE, LEAST_POOR = 0.7, 3
PROVEN_DICE = POOR_DICE  # of a model whose mean case is poor, no score says that a case is not
Flag = Literal["ok", "review", "empty", "unproven", "uncalibrated", "not available"]


@dataclass(frozen=True)
class Threshold:
    """A score above `value` asks for a review. `rule` says in words where the value comes from."""

    value: float
    rule: str


@dataclass(frozen=True)
class Validation:
    """How good a model was out of fold. dice: mean foreground Dice of `cases` validation cases."""

    dice: float
    cases: int


class Verdict(NamedTuple):
    """A case's flag, and why it has it, in a few words."""

    flag: Flag
    reason: str


@dataclass(frozen=True)
class Standing:
    """What a model's validation cases say of its predictions. None: nothing is known."""

    validation: Validation | None = None
    threshold: Threshold | None = None

    def judge(self, score: float, *, empty: bool, scored: bool = True) -> Verdict:
        """The flag of a case.

        empty: nothing was segmented. scored: False for a network without a score, such as a UNet.
        """
        if empty:
            return Verdict("empty", "nothing was segmented")
        if not scored:
            return Verdict("not available", "no quality score")
        if self.threshold is None or self.validation is None:
            return Verdict("uncalibrated", "no validated fold says what the score means")
        if not score <= self.threshold.value:  # NaN is no reason to trust a case
            return Verdict("review", f"score above {self.threshold.value:.4f}")
        if self.validation.dice < PROVEN_DICE:
            return Verdict("unproven", f"the model's validation Dice is below {PROVEN_DICE:g}")
        return Verdict("ok", f"score at most {self.threshold.value:.4f}")


class Deviation:
    """How far the random runs of one fold lie from its expected update on one case, added up over runs and parts."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._difference = self._expected = np.zeros(labels.n_outputs + 1)

    def add(self, difference: np.ndarray, expected: np.ndarray) -> None:
        """Adds two sums over cells, each (n_outputs + 1): |run - expected|, and the expected probabilities.

        The last entry is the foreground: 1 - background, or the most probable region.
        """
        self._difference = self._difference + difference
        self._expected = self._expected + expected

    def scores(self) -> dict[str, float]:
        """Difference divided by expected, per class and for the foreground. NaN where nothing is expected.

        Empty if nothing was added.
        """
        if not self._expected.any():
            return {}
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = np.where(self._expected > 0, self._difference / self._expected, np.nan)
        names = (*self._labels.names, FOREGROUND)
        return dict(zip(names, (float(ratio) for ratio in ratios[-len(names) :]), strict=True))


def learn_threshold(scores: Sequence[float], dice: Sequence[float]) -> Threshold | None:
    """The threshold from the scores and foreground Dice of validation cases (one entry per case).

    If at least LEAST_POOR cases lie below POOR_DICE and some do not, the threshold is the one that separates the
    two groups best: the largest sensitivity + specificity - 1, and the lowest threshold among equals. If there are too
    few, or no threshold separates them, it is the 95th percentile of the scores. Cases with a NaN (nothing predicted,
    or nothing to be found) do not count. None if no case is left.
    """
    pairs = [(float(s), float(d)) for s, d in zip(scores, dice, strict=True) if math.isfinite(s) and math.isfinite(d)]
    if not pairs:
        return None
    found, poor = np.array([pair[0] for pair in pairs]), np.array([pair[1] < POOR_DICE for pair in pairs])
    if LEAST_POOR <= poor.sum() < len(poor):
        value, separation = _best_separation(found, poor)
        if separation > 0:
            reviewed = found > value
            caught, others = int((reviewed & poor).sum()), int((reviewed & ~poor).sum())
            return Threshold(
                value,
                f"it names {caught} of the {poor.sum()} validation cases with a foreground Dice below {POOR_DICE:g}, "
                f"and {others} of the other {len(poor) - poor.sum()}",
            )
    return Threshold(float(np.percentile(found, 95)), f"95th percentile of the scores of {len(poor)} validation cases")


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
