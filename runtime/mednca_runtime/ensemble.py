"""Running mean and standard deviation over stochastic runs and folds, without keeping the runs."""

import numpy as np


class Moments:
    """Mean and population sd per element of arrays added one by one, in two float32 arrays.

    Welford's algorithm (Technometrics 1962); `merge` by Chan, Golub and LeVeque (1983). Both are safe where the mean is
    large against the sd, as a sum of squares is not.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: np.ndarray | None = None
        self._squares: np.ndarray | None = None  # sum of squared deviations from the mean

    @property
    def mean(self) -> np.ndarray:
        """float32; not to be changed by the caller. Raises ValueError before the first `add`."""
        self._check()
        return self._mean

    @property
    def variance(self) -> np.ndarray:
        """float32: the population variance, zero after one run. Raises ValueError before the first `add`."""
        self._check()
        return self._squares / np.float32(self.count)

    @property
    def sd(self) -> np.ndarray:
        """float32: the population standard deviation, zero after one run. Raises ValueError before the first `add`."""
        variance = self.variance
        return np.sqrt(variance, out=variance)

    def add(self, values: np.ndarray) -> None:
        """Takes one more run into account; every run has the same shape."""
        self.count += 1
        if self._mean is None:
            self._mean = np.array(values, np.float32)
            self._squares = np.zeros_like(self._mean)
            return
        deviation = values - self._mean
        self._mean += deviation / np.float32(self.count)
        deviation *= values - self._mean
        self._squares += deviation

    def merge(self, other: "Moments") -> None:
        """Takes all runs of `other` (another fold) into account, as if they had been added one by one."""
        if other.count == 0:
            return
        if self.count == 0:
            self.count, self._mean, self._squares = other.count, other._mean.copy(), other._squares.copy()
            return
        total = self.count + other.count
        deviation = other._mean - self._mean
        self._mean += deviation * np.float32(other.count / total)
        self._squares += other._squares
        self._squares += deviation * deviation * np.float32(self.count * other.count / total)
        self.count = total

    def _check(self) -> None:
        if self.count == 0:
            raise ValueError("Moments of no runs: add one first.")
