"""The quality score, and the thresholds and flags made of it."""

import math

import numpy as np
import pytest

from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.quality import PROVEN_DICE, Deviation, Standing, Threshold, Validation, learn_threshold

CLASSES = Labels(("a", "b"), ((1,), (2,)))
REGIONS = Labels(("whole", "core"), ((1, 2), (2,)), (1, 2))


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
    assert threshold.rule == (
        "it names 3 of the 3 validation cases with a foreground Dice below 0.7, and 0 of the other 3"
    )


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


GOOD, THRESHOLD = Validation(0.9, 10), Threshold(0.2, "by hand")


def test_flags():
    standing = Standing(GOOD, THRESHOLD)
    assert standing.judge(0.1, empty=False) == ("ok", "score at most 0.2000")
    assert standing.judge(0.2, empty=False).flag == "ok"
    assert standing.judge(0.3, empty=False) == ("review", "score above 0.2000")
    assert standing.judge(math.nan, empty=False).flag == "review"
    assert standing.judge(0.3, empty=True).flag == "empty"
    assert Standing().judge(math.nan, empty=True, scored=False).flag == "empty"
    assert standing.judge(math.nan, empty=False, scored=False).flag == "not available"


@pytest.mark.parametrize("standing", [Standing(GOOD, None), Standing(None, THRESHOLD), Standing()])
def test_without_threshold_or_validation_nothing_is_ok(standing):
    assert standing.judge(0.1, empty=False).flag == "uncalibrated"


def test_with_a_bad_model_nothing_is_ok():
    assert PROVEN_DICE == 0.7
    for dice, flag in ((0.2, "unproven"), (0.6999, "unproven"), (0.7, "ok")):
        assert Standing(Validation(dice, 6), THRESHOLD).judge(0.1, empty=False).flag == flag
    bad = Standing(Validation(0.2, 6), THRESHOLD)
    assert bad.judge(0.1, empty=False).reason == "the model's validation Dice is below 0.7"
    assert bad.judge(0.3, empty=False).flag == "review"
    assert bad.judge(0.1, empty=True).flag == "empty"
