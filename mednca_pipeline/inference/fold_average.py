"""Averages folds and random runs, and measures how far random runs deviate from the expected update."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..runtime.labels import Labels
from ..runtime.moments import Moments
from ..runtime.quality import Deviation
from .network import Asked, Network


@dataclass(frozen=True)
class FoldAverage:
    """The outcome over all folds and runs, in preprocessed space.

    mean: (K, S, H, W) probabilities. variance: (S, H, W) over folds and runs, summed over the outputs, if asked for.
    quality: class or "foreground" -> quality score of the first fold; empty where none was asked for. Thresholds are
        learned from single folds, and the scores of further ones would cost as much again.
    """

    mean: np.ndarray
    variance: np.ndarray | None
    quality: dict[str, float]


def average_folds(
    folds: Sequence[Network], image: np.ndarray, labels: Labels, asked: Asked, with_variance: bool = False
) -> FoldAverage:
    """image: (C, S, H, W), preprocessed. The folds have the same plan: what they see of the image is made once."""
    deviation, unscored = Deviation(labels), replace(asked, quality=False)
    parts: list[Moments] = []
    for seen in folds[0].see(image):
        moments = Moments(with_variance)
        for number, fold in enumerate(folds):
            for probabilities in fold.probabilities(seen, unscored if number else asked, deviation):
                moments.add(probabilities)
        parts.append(moments)
    mean = _joined([part.mean for part in parts])
    variance = _joined([part.variance for part in parts]).sum(axis=0) if with_variance else None
    return FoldAverage(mean, variance, deviation.scores())


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
