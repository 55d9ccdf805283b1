"""Running moments, the quality score, and the thresholds and flags made of it."""

import math

import numpy as np
import pytest

from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.moments import Moments
from mednca_pipeline.runtime.quality import Deviation, Threshold, flag, learn_threshold

CLASSES = Labels(("a", "b"), ((1,), (2,)))
REGIONS = Labels(("whole", "core"), ((1, 2), (2,)), (1, 2))


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


def test_scores_by_hand():
    deviation = Deviation(CLASSES)
    assert deviation.scores() == {}
    deviation.add(np.array([1.0, 0.5, 0.0, 0.5]), np.array([90.0, 4.0, 0.0, 4.0]))  # background, a, b, foreground
    deviation.add(np.array([1.0, 0.3, 0.0, 0.5]), np.array([80.0, 4.0, 0.0, 6.0]))  # another part of the case
    scores = deviation.scores()
    assert scores["a"] == pytest.approx(0.1) and scores["foreground"] == pytest.approx(0.1)
    assert math.isnan(scores["b"]) and set(scores) == {"a", "b", "foreground"}


def test_scores_of_regions_have_no_background():
    deviation = Deviation(REGIONS)
    deviation.add(np.array([0.6, 0.2, 0.5]), np.array([2.0, 1.0, 2.0]))
    assert deviation.scores() == pytest.approx({"whole": 0.3, "core": 0.2, "foreground": 0.25})


def test_threshold_separates_poor_cases():
    scores = [0.05, 0.06, 0.07, 0.20, 0.22, 0.30]
    dice = [0.90, 0.85, 0.88, 0.50, 0.60, 0.30]
    threshold = learn_threshold(scores, dice)
    assert threshold.value == pytest.approx(0.135)
    assert "3 of 6" in threshold.rule
    assert "1.00" in threshold.rule


def test_threshold_of_largest_youden_index():
    scores = [1, 2, 3, 4, 5, 6, 7]
    dice = [0.9, 0.9, 0.5, 0.9, 0.5, 0.5, 0.5]
    # above 4.5: 3 of 4 poor, 0 of 3 good (0.75); above 2.5: 4 of 4 poor, 1 of 3 good (0.67)
    assert learn_threshold(scores, dice).value == pytest.approx(4.5)


@pytest.mark.parametrize(
    "dice",
    [
        [0.9] * 21,  # none poor
        [0.9] * 19 + [0.1] * 2,  # too few
        [0.1] * 21,  # nothing to separate from
        [0.1] * 4 + [0.9] * 17,  # poor cases have the lowest scores
    ],
)
def test_threshold_falls_back_to_the_95th_percentile(dice):
    threshold = learn_threshold(list(range(21)), dice)
    assert threshold == Threshold(19.0, "95th percentile of the scores of 21 validation cases")


def test_threshold_ignores_cases_without_a_score():
    assert learn_threshold([math.nan, 1.0, 2.0], [0.0, 0.9, math.nan]).value == 1.0
    assert learn_threshold([math.nan], [0.0]) is None
    assert learn_threshold([], []) is None


def test_equal_scores_separate_nothing():
    assert learn_threshold([0.5] * 6, [0.1] * 3 + [0.9] * 3).rule.startswith("95th percentile")


def test_flags():
    assert flag(0.1, 0.2, empty=False) == "ok"
    assert flag(0.2, 0.2, empty=False) == "ok"
    assert flag(0.3, 0.2, empty=False) == "review"
    assert flag(math.nan, 0.2, empty=False) == "review"
    assert flag(0.3, None, empty=False) == "uncalibrated"
    assert flag(0.3, 0.2, empty=True) == "empty"
    assert flag(math.nan, None, empty=True, scored=False) == "empty"
    assert flag(math.nan, None, empty=False, scored=False) == "not available"
