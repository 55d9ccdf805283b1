"""Statistics of intensities, rounded so that they are the same on every machine."""

import numpy as np

from .fingerprint import IntensityStatistics

PERCENTILE_VOXELS = 500_000  # more add nothing to a percentile
DIGITS = 6


def intensity_statistics(values: np.ndarray) -> IntensityStatistics:
    """Statistics of one or more voxels. Percentiles of many voxels are those of an even sample."""
    flat = values.reshape(-1)
    sample = flat[:: max(1, flat.size // PERCENTILE_VOXELS)]
    low, median, high = np.percentile(sample, (0.5, 50, 99.5))
    return IntensityStatistics(
        mean=significant(flat.mean(dtype=np.float64)),
        sd=significant(flat.std(dtype=np.float64)),
        median=significant(median),
        percentile_00_5=significant(low),
        percentile_99_5=significant(high),
        minimum=significant(flat.min()),
        maximum=significant(flat.max()),
    )


def significant(value: float) -> float:
    """Rounded to 6 significant digits."""
    return float(f"{float(value):.{DIGITS}g}")
