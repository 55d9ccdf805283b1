"""Intervals, tests and corrections on numbers with known answers."""

import math

import pytest

from mednca_pipeline.crossval.statistics import bootstrap_interval, holm, wilcoxon_p


def test_bootstrap_interval_of_zeros_and_ones_is_the_binomial_one():
    low, high = bootstrap_interval([0.0, 1.0] * 50)  # sd of the mean: 0.05
    assert low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.012)
    assert high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.012)
    assert bootstrap_interval([0.0, 1.0] * 50) == (low, high)  # a fixed seed


def test_bootstrap_interval_of_few_or_equal_values():
    assert bootstrap_interval([0.7, 0.7, 0.7]) == pytest.approx((0.7, 0.7))
    assert all(math.isnan(bound) for bound in bootstrap_interval([0.7]))


def test_wilcoxon_of_five_gains_is_two_of_all_sign_patterns():
    assert wilcoxon_p([2, 4, 6, 8, 10], [1, 2, 3, 4, 5]) == pytest.approx(2 / 2**5)


def test_wilcoxon_drops_equal_pairs():
    assert wilcoxon_p([2, 4, 6, 8, 10, 7, 7], [1, 2, 3, 4, 5, 7, 7]) == pytest.approx(2 / 2**5)
    assert wilcoxon_p([1, 2, 3], [1, 2, 3]) == 1.0


def test_holm_multiplies_by_the_hypotheses_left_and_never_decreases():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
