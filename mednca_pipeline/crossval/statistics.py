"""Bootstrap intervals, paired tests and Holm's correction."""

from collections.abc import Sequence

import numpy as np

BOOTSTRAP_RESAMPLES = 10_000
BOOTSTRAP_SEED = 2024
CONFIDENCE = 0.95


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean, with a fixed seed; (nan, nan) below two values."""
    from scipy.stats import bootstrap

    if len(values) < 2:
        return float("nan"), float("nan")
    interval = bootstrap(
        (np.asarray(values, float),),
        np.mean,
        n_resamples=BOOTSTRAP_RESAMPLES,
        batch=1000,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def wilcoxon_p(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test on paired values; equal pairs are dropped, 1 when none remains."""
    from scipy.stats import wilcoxon

    differences = np.asarray(first, float) - np.asarray(second, float)
    differences = differences[differences != 0]
    return float(wilcoxon(differences).pvalue) if len(differences) else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979) of a family of p-values, in the given order."""
    count = len(p_values)
    corrected, running = [0.0] * count, 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (count - rank) * p_values[index]))
        corrected[index] = running
    return corrected
