"""quality.json from the summaries of the folds."""

import pytest

from mednca_pipeline.evaluation.metrics import Units
from mednca_pipeline.evaluation.summary import make_summary
from mednca_pipeline.inference.calibration import calibrate, read_standing
from mednca_pipeline.plans.plans import write_plans
from mednca_pipeline.results.model_folder import ModelFolder
from mednca_pipeline.results.summary import CaseResult
from mednca_pipeline.runtime.files import write_json
from mednca_pipeline.runtime.quality import Standing, Threshold, Validation

from .tiny_model import make_plans, save_model


def _saved(*given, **options):
    return ModelFolder(save_model(*given, **options))


def _summary(folder, fold, points):
    """points: score and foreground Dice of each case; a score of None has no quality."""
    cases = {}
    for index, (score, dice) in enumerate(points):
        classes = {"foreground": {"dice": dice, "hd95": 1.0, "nsd": 1.0, "volume_predicted": 1, "volume_reference": 1}}
        quality = None if score is None else {"score": {"foreground": score, "anterior": 9.0}}
        cases[f"case{fold}{index}"] = CaseResult(classes, 1.0, quality)
    folder.fold(fold).write_summary(make_summary(cases, Units()))


def test_separates_poor_from_good_cases(tmp_path):
    folder = _saved(tmp_path, make_plans(), folds=(0, 1, "all"))
    _summary(folder, 0, [(0.1, 0.9), (0.2, 0.8), (0.4, 0.5), (0.5, 0.4)])
    _summary(folder, 1, [(0.15, 0.9), (0.6, 0.3), (float("nan"), 0.0)])
    _summary(folder, "all", [(0.0, 0.1)] * 5)  # has seen its cases in training: does not count
    learned = calibrate(folder)
    assert learned.threshold.value == pytest.approx(0.3)
    assert learned.validation == Validation(pytest.approx((0.9 + 0.8 + 0.5 + 0.4 + 0.9 + 0.3 + 0.0) / 7), 7)
    assert read_standing(folder) == learned


def test_a_fold_that_is_not_validated_yet_is_left_out(tmp_path):
    folder = _saved(tmp_path, make_plans(), folds=(0, 1))
    _summary(folder, 1, [(score, 0.9) for score in (0.1, 0.2, 0.3)])
    assert calibrate(folder).threshold.value == pytest.approx(0.2 + 0.9 * 0.1)  # 95th percentile of 0.1, 0.2, 0.3


def test_model_without_scores_has_its_validation_alone(tmp_path):
    folder = _saved(tmp_path, make_plans(), model="unet_small", folds=(0,))
    _summary(folder, 0, [(None, 0.9), (None, 0.5)])
    assert calibrate(folder) == Standing(Validation(pytest.approx(0.7), 2), None)
    assert read_standing(folder).validation.dice == pytest.approx(0.7)


def test_model_without_validation_gets_no_file(tmp_path):
    folder = _saved(tmp_path, make_plans(), folds=(0, "all"))
    _summary(folder, "all", [(0.1, 0.9)])
    assert calibrate(folder) == read_standing(folder) == Standing()
    assert not folder.quality_file.exists()


def test_cases_with_nothing_to_find_and_nothing_found_prove_nothing(tmp_path):
    folder = _saved(tmp_path, make_plans(), folds=(0,))
    _summary(folder, 0, [(0.1, 0.4), *[(float("nan"), float("nan"))] * 9])
    assert calibrate(folder).validation == Validation(0.4, 1)


def test_a_file_without_the_validation_takes_it_from_the_summaries(tmp_path):
    """As of schema 2; a copied model without its summaries has proved nothing."""
    folder = _saved(tmp_path, make_plans(), folds=(0,))
    threshold = {"value": 0.1, "rule": "by hand"}
    digest = make_plans().digest("2d", "mednca")
    write_json(folder.quality_file, {"schema": 2, "digest": digest, "folds": [0], "threshold": threshold})
    assert read_standing(folder) == Standing(None, Threshold(0.1, "by hand"))
    _summary(folder, 0, [(0.05, 0.2)])
    assert read_standing(folder) == Standing(Validation(0.2, 1), Threshold(0.1, "by hand"))
    folder.fold(0).summary_file.write_text("{", encoding="utf-8")
    assert read_standing(folder).validation is None


def test_the_threshold_of_an_earlier_score_does_not_count(tmp_path):
    folder = _saved(tmp_path, make_plans(), folds=(0,))
    digest = make_plans().digest("2d", "mednca")
    stored = {"schema": 1, "digest": digest, "folds": [0], "thresholds": {"2": {"value": 0.1, "rule": "by hand"}}}
    write_json(folder.quality_file, stored)
    assert read_standing(folder) == Standing()


def test_folds_and_thresholds_of_other_plans_do_not_count(tmp_path):
    folder = _saved(tmp_path, make_plans(), folds=(0, 1))
    for fold, scores in ((0, (0.1, 0.2, 0.3)), (1, (0.7, 0.8, 0.9))):
        _summary(folder, fold, [(score, 0.9) for score in scores])
    write_json(folder.fold(1).run_file, {"schema": 1, "digest": "another"})
    assert calibrate(folder).threshold.value == pytest.approx(0.2 + 0.9 * 0.1)
    write_plans(folder.plans_file, make_plans(channels=2))
    assert read_standing(folder) == Standing()  # learned with the plans before these
