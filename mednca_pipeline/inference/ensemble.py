"""Averages stochastic runs and folds, and measures how much the runs of one fold disagree."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mednca_runtime.ensemble import Moments
from mednca_runtime.labels import Labels
from mednca_runtime.quality import RunQuality, average_scores

Run = Callable[[int], np.ndarray]  # number of the run -> probabilities (K, S, H, W)


@dataclass(frozen=True)
class Ensemble:
    """The outcome over all folds and runs, in preprocessed space.

    mean: (K, S, H, W) probabilities. variance: (S, H, W), over folds and runs, summed over the outputs.
    scores: number of runs per fold, from 2 -> class or "foreground" -> quality score averaged over the folds.
    """

    mean: np.ndarray
    variance: np.ndarray
    scores: dict[int, dict[str, float]]


def run_ensemble(folds: Sequence[Run], runs: int, labels: Labels) -> Ensemble:
    """Runs every fold `runs` times. Folds count alike: each has the same number of runs."""
    everything, scores = Moments(), []
    for fold in folds:
        quality = RunQuality(labels)
        for run in range(runs):
            quality.add(fold(run))
        everything.merge(quality.moments)
        scores.append(quality.scores)
    averaged = {count: average_scores(fold[count] for fold in scores) for count in scores[0]}
    return Ensemble(everything.mean, everything.variance.sum(axis=0), averaged)
