"""Running mean and variance over passes and folds, without keeping the passes."""

import numpy as np


class Moments:
    """Mean per element of arrays added one by one, and their population variance where asked for, in float32.

    Welford's algorithm (Technometrics 1962), safe where the mean is large against the variance, as a sum of squares is
    not.
    """

    def __init__(self, with_variance: bool = False) -> None:
        self.count = 0
        self._mean: np.ndarray | None = None
        self._squares: np.ndarray | None = None  # sum of squared deviations from the mean
        self._with_variance = with_variance

    @property
    def mean(self) -> np.ndarray:
        """float32; not to be changed by the caller. Raises ValueError before the first `add`."""
        self._check()
        return self._mean

    @property
    def variance(self) -> np.ndarray | None:
        """float32, zero after one array; None if it was not asked for. Raises ValueError before the first `add`."""
        self._check()
        return self._squares / np.float32(self.count) if self._with_variance else None

    def add(self, values: np.ndarray) -> None:
        """Takes one more array into account; all have the same shape."""
        self.count += 1
        if self._mean is None:
            self._mean = np.array(values, np.float32)
            self._squares = np.zeros_like(self._mean) if self._with_variance else None
            return
        deviation = values - self._mean
        if self._with_variance:
            self._squares += deviation * deviation * np.float32(1 - 1 / self.count)
        deviation /= np.float32(self.count)
        self._mean += deviation

    def _check(self) -> None:
        if self.count == 0:
            raise ValueError("Moments of nothing: add an array first.")
