"""The benchmark of quality scores: the candidates' formulas, and what is said of them."""

import math

import numpy as np
import pytest

from benchmarks import quality, quality_scores
from benchmarks import quality_models as models
from benchmarks.quality import Scored
from benchmarks.quality_models import PreprocessedScan, Single
from mednca_pipeline.runtime.labels import Labels

from ..inference.tiny_model import SPACING, make_image, make_plans, save_model

ONE_CLASS = Labels(("a",), ((1,),))


def test_scores_of_two_runs():
    runs = [np.array([1.0, 0.5, 0.0]), np.array([1.0, 0.1, 0.4])]
    assert quality_scores.deviation(runs[1], runs[0]) == pytest.approx(0.8 / 1.5)
    assert quality_scores.spread(runs) == pytest.approx(0.4 / 1.5)  # SDs 0, 0.2, 0.2
    assert quality_scores.pairwise(runs) == pytest.approx(0.8 / 1.5)
    assert quality_scores.spread([runs[0], runs[0]]) == 0


def test_expected_dice_counts_the_overlap_by_its_probability():
    assert quality_scores.missing_dice(np.array([1.0, 1.0, 0.0])) == 0
    assert quality_scores.missing_dice(np.array([0.8, 0.6, 0.4])) == pytest.approx(1 - 2 * 1.4 / (2 + 1.8))
    assert math.isnan(quality_scores.missing_dice(np.array([0.4, 0.2])))


def test_label_change_is_the_mean_over_pairs():
    maps = [np.array([1, 1, 0]), np.array([1, 1, 0]), np.array([1, 0, 0])]
    assert quality_scores.label_change(maps, ONE_CLASS) == pytest.approx((0 + 1 / 3 + 1 / 3) / 3)


def test_auroc_needs_ten_of_either_kind_and_takes_a_missing_score_for_the_worst():
    poor = np.arange(20) < 10
    scores = np.where(poor, 2.0, 1.0)
    assert quality.auroc(scores, poor) == 1
    assert quality.auroc(-scores, poor) == 0
    assert math.isnan(quality.auroc(scores, np.arange(20) < 9))
    scores[0] = np.nan
    assert quality.auroc(scores, poor) == 1


def test_the_gain_on_the_present_score_resamples_cases():
    poor, cases = np.arange(60) % 2 == 0, np.repeat(np.arange(20), 3)
    perfect, useless = poor.astype(float), np.zeros(60)
    assert quality.gain_of(perfect, useless, poor, cases) == (0.5, 0.5, 0.5)
    gain, low, high = quality.gain_of(np.random.default_rng(0).random(60), useless, poor, cases)
    assert low < gain < high


def test_a_score_that_falls_with_dice_has_a_correlation_of_one():
    dice = np.linspace(0, 1, 12)
    assert quality.rank_correlation(1 - dice**3, dice) == pytest.approx(1)


def test_images_without_a_segmentation_do_not_count_and_too_few_failures_leave_auroc_out():
    present = quality.PRESENT
    found = [Scored(str(index), "clean", 0, index / 40, {present: -index}) for index in range(40)]
    found.append(Scored("empty", "clean", 0, math.nan, {present: 0.0}))
    (row,) = quality.dataset_rows("D", found, 0.5, {present: 0.25})
    assert (row["images"], row["failures"], row["auroc"], row["rho"]) == (40, 20, 1, pytest.approx(1))
    (row,) = quality.dataset_rows("D", found, 0.1, {present: 0.25})
    assert row["failures"] == 4 and math.isnan(row["auroc"])
    assert f"| {present} |  |  | 1.000 | 1.000 | 0.25 |" in quality.table([row])


@pytest.fixture
def single(tmp_path):
    return Single(save_model(tmp_path, make_plans(), folds=(0,)))


@pytest.fixture
def scan(single) -> PreprocessedScan:
    return models.as_scan(single, make_image()[None], SPACING)


def test_the_present_score_and_one_run_are_the_products(single, scan):
    labels, scores = single.judge(scan, every_cell=True)
    predicted = single.predictor.predict(scan.array, scan.spacing_mm)
    assert scores[models.PRESENT] == predicted.quality["foreground"]
    assert np.array_equal(labels, predicted.labels)
    assert scores[models.EVERY] > 0 and scores[models.MANY] > 0
    (expected,) = single.runs(single.network, scan, 0)
    assert scores[models.ONE] == quality_scores.deviation(single.runs(single.network, scan, 1)[0], expected)


def test_resilience_changes_computed_cells_alone_and_as_much_as_it_perturbs(single, scan):
    ((seen, last),) = single.last_passes(scan)
    rng = np.random.default_rng(0)
    went_on = quality_scores.resumed(last, seen, quality_scores.unchanged, rng)
    first = len(last.states[0]) - round(last.computed[-1] * last.pointer.size)
    assert np.array_equal(went_on.states[1][:first], last.states[0][:first])
    assert not np.array_equal(went_on.states[1][first:], last.states[0][first:])  # random weights know no rest
    perturbed = quality_scores.resumed(last, seen, quality_scores.noisy, rng)
    assert not np.array_equal(perturbed.states[1], went_on.states[1])


def test_perturbations():
    states = np.arange(80, dtype=np.float32).reshape(20, 4) + 1
    zeroed = quality_scores.zeroed(states, 2, np.random.default_rng(0))
    assert np.array_equal(zeroed[:, :2], states[:, :2])
    assert 0 < (zeroed[:, 2:] == 0).all(axis=1).sum() < 20
    noisy = quality_scores.noisy(np.ones((5, 3), np.float32), 1, np.random.default_rng(0))
    assert np.array_equal(noisy, np.ones((5, 3)))  # no SD, no noise
