"""Running moments of an ensemble's probabilities."""

import numpy as np
import pytest

from mednca_pipeline.runtime.moments import Moments


def runs(number: int, outputs: int = 3) -> np.ndarray:
    """Probabilities (runs, outputs, 4, 5) that sum to 1."""
    values = np.random.default_rng(0).random((number, outputs, 4, 5)).astype(np.float32)
    return values / values.sum(axis=1, keepdims=True)


def moments_of(values: np.ndarray) -> Moments:
    moments = Moments(with_variance=True)
    for value in values:
        moments.add(value)
    return moments


def test_moments_are_numpys():
    values = runs(7)
    moments = moments_of(values)
    assert moments.count == 7
    assert moments.mean == pytest.approx(values.mean(axis=0), abs=1e-6)
    assert moments.variance == pytest.approx(values.var(axis=0), abs=1e-6)


def test_moments_of_one_run_and_of_none():
    first = runs(1)[0]
    moments = moments_of(first[None])
    assert np.array_equal(moments.mean, first)
    assert not moments.variance.any()
    with pytest.raises(ValueError, match="of nothing"):
        _ = Moments().mean


def test_moments_are_safe_far_from_zero():
    values = np.float32(1000) + np.array([[0.0], [0.25], [0.5]], np.float32)
    assert moments_of(values).variance[0] == pytest.approx(1 / 24, rel=1e-4)


def test_moments_do_not_change_the_runs():
    values = runs(3)
    before = values.copy()
    moments_of(values)
    assert np.array_equal(values, before)


def test_without_variance_the_mean_is_the_same():
    values = runs(7)
    plain = Moments()
    for value in values:
        plain.add(value)
    with pytest.raises(ValueError, match="asked for"):
        plain.variance  # noqa: B018
    assert np.array_equal(plain.mean, moments_of(values).mean)
