"""Running mean and variance over passes and folds. The passes themselves are not kept."""

import numpy as np

_NOTHING = "Moments of nothing: add an array first."


class Moments:
    """The mean, and on request the population variance, of each element over arrays that are added one by one.

    Computed in float32 by Welford's algorithm (Technometrics 1962), which stays exact where the mean is large against
    the variance. A sum of squares would not.
    """

    def __init__(self, with_variance: bool = False) -> None:
        self.count = 0
        self._mean: np.ndarray | None = None
        self._squares: np.ndarray | None = None  # sum of squared deviations from the mean
        self._with_variance = with_variance

    @property
    def mean(self) -> np.ndarray:
        """float32. The caller must not change it. Raises ValueError before the first `add`."""
        if self._mean is None:
            raise ValueError(_NOTHING)
        return self._mean

    @property
    def variance(self) -> np.ndarray:
        """float32, zero after one array. Raises ValueError before the first `add`, and if it was not asked for."""
        if self._squares is None:
            raise ValueError("No variance was asked for." if self.count else _NOTHING)
        return self._squares / np.float32(self.count)

    def add(self, values: np.ndarray) -> None:
        """Takes one more array into account; all have the same shape."""
        self.count += 1
        if self._mean is None:
            self._mean = np.array(values, np.float32)
            self._squares = np.zeros_like(self._mean) if self._with_variance else None
            return
        for index, value in enumerate(values):  # one part after the other needs less memory at once
            deviation = value - self._mean[index]
            if self._squares is not None:
                self._squares[index] += deviation * deviation * np.float32(1 - 1 / self.count)
            deviation /= np.float32(self.count)
            self._mean[index] += deviation
