"""Averages folds and random runs, and measures how far random runs deviate from the expected update."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mednca_runtime.ensemble import Moments
from mednca_runtime.labels import Labels
from mednca_runtime.quality import Deviation, average_scores

from .network import Asked, Network


@dataclass(frozen=True)
class Ensemble:
    """The outcome over all folds and runs, in preprocessed space.

    mean: (K, S, H, W) probabilities. variance: (S, H, W) over folds and runs, summed over the outputs, if asked for.
    quality: class or "foreground" -> quality score averaged over the folds; empty where none was asked for.
    """

    mean: np.ndarray
    variance: np.ndarray | None
    quality: dict[str, float]


def predict_ensemble(
    folds: Sequence[Network], image: np.ndarray, labels: Labels, asked: Asked, with_variance: bool = False
) -> Ensemble:
    """image: (C, S, H, W), preprocessed. The folds have the same plan: what they see of the image is made once."""
    deviations = [Deviation(labels) for _ in folds]
    parts: list[Moments] = []
    for seen in folds[0].see(image):
        moments = Moments(with_variance)
        for fold, deviation in zip(folds, deviations, strict=True):
            for probabilities in fold.probabilities(seen, asked, deviation):
                moments.add(probabilities)
        parts.append(moments)
    mean = _joined([part.mean for part in parts])
    variance = _joined([part.variance for part in parts]).sum(axis=0) if with_variance else None
    scores = [deviation.scores() for deviation in deviations]
    return Ensemble(mean, variance, average_scores(score for score in scores if score))


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
