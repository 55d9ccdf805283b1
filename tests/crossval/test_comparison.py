"""The comparison table, on fabricated results folders."""

import math
from dataclasses import replace

import pytest

from mednca_pipeline.crossval.collect import collect_results
from mednca_pipeline.crossval.comparison import compare
from mednca_pipeline.crossval.comparison_files import write_comparison
from mednca_pipeline.evaluation.metrics import Units
from mednca_pipeline.evaluation.summary import make_summary
from mednca_pipeline.results.postprocessing import Postprocessing, raw_sha256
from mednca_pipeline.results.summary import CaseResult
from mednca_pipeline.runtime.files import read_json, write_json

from .made_results import CLASSES, SPLITS, fold, metrics, two_models


def row_of(comparison, model, name="organ"):
    return next(row for row in comparison.rows if (row["model"], row["class"]) == (model, name))


def test_means_are_over_cases_of_all_folds(results):
    comparison = compare(collect_results(results, SPLITS[:2]))
    row = row_of(comparison, "mednca_2d")
    assert row["cases"] == 6
    assert row["dice_mean"] == pytest.approx(0.825)
    assert row["dice_sd"] == pytest.approx(0.01 * math.sqrt(3.5))  # of 0..5: variance 17.5 / 5
    assert row["dice_ci_low"] < 0.825 < row["dice_ci_high"]
    assert row["training_minutes"] == pytest.approx(10.5)
    assert row["peak_memory_bytes"] == 2 * 2**20
    assert row["seconds_per_case"] == 0.5
    assert comparison.notes == ()
    assert {row["class"] for row in comparison.rows} == set(CLASSES)


def test_headline_is_what_prediction_keeps_and_the_raw_mean_stands_beside_it(results):
    """fold_0 was validated with the plan's component; out of fold another number was chosen then."""
    folder = results / "mednca_2d"
    summary = read_json(folder / "fold_0" / "summary.json")
    for entry in summary["cases"].values():
        entry["raw"] = dict.fromkeys(CLASSES, metrics(0.5))
    write_json(folder / "fold_0" / "summary.json", {**summary, "components": {"organ": 1}})
    (found, other) = collect_results(results, SPLITS[:2])
    assert (found.kept, other.kept) == ("1 component of organ", "")
    row = row_of(compare([found, other]), "mednca_2d")
    assert row["components"] == "1 component of organ"
    assert row["dice_mean"] == pytest.approx(0.825)
    assert row["dice_raw_mean"] == pytest.approx((3 * 0.5 + 0.83 + 0.84 + 0.85) / 6)
    measured = {case: dict.fromkeys(CLASSES, metrics(0.9)) for case in "abcdef"}
    chosen = Postprocessing({"organ": 2}, {}, (0, 1), "plan-a", measured, raw_sha256(found.validated))
    write_json(folder / "postprocessing.json", chosen)
    (found, _) = collect_results(results, SPLITS[:2])
    comparison = compare([found])
    row = row_of(comparison, "mednca_2d")
    assert (row["dice_mean"], row["components"]) == (pytest.approx(0.9), "2 components of organ")
    assert row["dice_raw_mean"] == pytest.approx((3 * 0.5 + 0.83 + 0.84 + 0.85) / 6)
    assert comparison.notes == ()
    # cases that were validated again since: the table has what validation measured, and says so
    write_json(folder / "postprocessing.json", replace(chosen, raw_sha256="of earlier cases"))
    comparison = compare(collect_results(results, SPLITS[:2]))
    assert row_of(comparison, "mednca_2d")["dice_mean"] == pytest.approx(0.825)
    assert any("keeps other components with mednca_2d (2 components of organ)" in note for note in comparison.notes)


def test_pairs_count_wins_and_correct_p_for_all_classes(results):
    comparison = compare(collect_results(results, SPLITS[:2]))
    pair = next(pair for pair in comparison.pairs if (pair["metric"], pair["class"]) == ("dice", "organ"))
    assert (pair["first"], pair["second"]) == ("mednca_2d", "unet_small_2d")
    assert (pair["wins_first"], pair["wins_second"], pair["ties"]) == (0, 5, 1)
    assert pair["mean_difference"] == pytest.approx(-0.1 / 6)
    assert pair["p_wilcoxon"] == pytest.approx(2 / 2**5, abs=0.03)  # five of one sign
    assert pair["p_holm"] == pytest.approx(min(1, 3 * pair["p_wilcoxon"]))  # a family of three classes and one pair
    distance = next(pair for pair in comparison.pairs if (pair["metric"], pair["class"]) == ("hd95", "organ"))
    assert distance["wins_second"] == 5  # a lower distance wins
    assert distance["mean_difference"] > 0


def short_of_schedule(root, planned):
    """The two models; the second had 100 iterations of those `planned` in each fold."""
    results = two_models(root)
    for number, count in enumerate(planned):
        for model, of in (("mednca_2d", 100), ("unet_small_2d", count)):
            file = results / model / f"fold_{number}" / "run.json"
            write_json(file, {**read_json(file), "planned_iterations": of})
    return collect_results(results, SPLITS[:2])


def test_less_than_half_of_the_schedule_is_a_warning_and_has_no_significance(tmp_path):
    comparison = compare(short_of_schedule(tmp_path, (150, 3000)))
    row = row_of(comparison, "unet_small_2d")
    assert (row["iterations"], row["planned_iterations"], row["schedule_percent"]) == (100, 3000, 3.3)
    assert row_of(comparison, "mednca_2d")["schedule_percent"] == 100
    (warning,) = comparison.warnings
    assert warning.startswith("unet_small_2d got 3 % of its planned schedule (100 of 3,000 iterations)")
    assert all(math.isnan(pair["p_wilcoxon"]) and math.isnan(pair["p_holm"]) for pair in comparison.pairs)
    assert comparison.pairs[0]["wins_second"] == 5


def test_half_of_the_schedule_is_enough(tmp_path):
    comparison = compare(short_of_schedule(tmp_path, (200, 200)))
    assert comparison.warnings == () and not any(math.isnan(pair["p_holm"]) for pair in comparison.pairs)
    assert row_of(comparison, "unet_small_2d")["schedule_percent"] == 50


def test_pairs_of_the_others_keep_their_significance_and_family(tmp_path):
    models = short_of_schedule(tmp_path, (3000, 3000))
    third = replace(models[0], name="mednca_paper_2d")
    pairs = compare([models[0], third, models[1]]).pairs
    tested = [(pair["first"], pair["second"]) for pair in pairs if not math.isnan(pair["p_holm"])]
    assert set(tested) == {("mednca_2d", "mednca_paper_2d")} and len(tested) == 9
    assert all(pair["p_holm"] == 1 for pair in pairs if pair["second"] == "mednca_paper_2d")


def test_an_ensemble_got_what_its_least_trained_model_got(tmp_path):
    models = short_of_schedule(tmp_path, (3000, 3000))
    untold = tuple(replace(fold, run=replace(fold.run, iterations=None)) for fold in models[0].folds)
    both = replace(models[0], name="both", folds=untold, members=("mednca_2d", "unet_small_2d"))
    comparison = compare([*models, both])
    assert row_of(comparison, "both")["schedule_percent"] == 3.3
    assert [warning.split()[0] for warning in comparison.warnings] == ["unet_small_2d", "both"]


def test_without_a_recorded_schedule_nothing_is_claimed(results):
    comparison = compare(collect_results(results, SPLITS[:2]))
    assert math.isnan(row_of(comparison, "mednca_2d")["schedule_percent"]) and comparison.warnings == ()


def test_missing_fold_is_named_and_pairs_use_the_common_cases(results):
    record = read_json(results / "unet_small_2d" / "fold_1" / "run.json")
    write_json(results / "unet_small_2d" / "fold_1" / "run.json", {**record, "finished": False})
    comparison = compare(collect_results(results, SPLITS[:2]))
    assert row_of(comparison, "unet_small_2d")["cases"] == 3
    assert row_of(comparison, "unet_small_2d")["missing_folds"] == "1"
    assert all(pair["cases"] == 3 for pair in comparison.pairs)
    assert any("unet_small_2d is incomplete" in note and "missing 1" in note for note in comparison.notes)
    assert any("paired on the 3 cases" in note for note in comparison.notes)


def test_different_iterations_are_named(results):
    fold(results, "mednca_2d", 2, {"g": 0.8}, iterations=999)
    notes = compare(collect_results(results, SPLITS[:3])).notes
    assert any("different numbers of iterations" in note and "fold 2: 999" in note for note in notes)


def test_undefined_metrics_count_by_the_policy(tmp_path):
    undefined = {
        "a": dict.fromkeys(("dice", "hd95", "nsd"), math.nan),
        "b": {"dice": 0.0, "hd95": math.nan, "nsd": 0.0},
    }
    cases = {case: CaseResult({"organ": {**metrics(0.5), "diagonal": 50.0, **row}}) for case, row in undefined.items()}
    cases["c"] = CaseResult({"organ": metrics(0.8)})
    folder = fold(tmp_path, "mednca_2d", 0, {"a": 0.5})
    folder.write_summary(make_summary(cases, Units()))
    models = collect_results(tmp_path, SPLITS[:1])
    row = row_of(compare(models), "mednca_2d")
    assert row["cases"] == 3
    assert row["dice_mean"] == pytest.approx((1 + 0 + 0.8) / 3)
    assert row["hd95_mean"] == row["hd95_raw_mean"] == pytest.approx((0 + 50 + 2) / 3)
    assert row["nsd_mean"] == pytest.approx((1 + 0 + 0.8) / 3)
    assert raw_sha256(models[0].validated) == raw_sha256(collect_results(tmp_path, SPLITS[:1])[0].validated)


def test_a_single_case_has_no_interval(tmp_path):
    fold(tmp_path, "mednca_2d", 0, {"a": 0.5})
    models = collect_results(tmp_path, SPLITS[:1])
    row = row_of(compare(models), "mednca_2d")
    assert row["dice_mean"] == 0.5
    assert math.isnan(row["dice_ci_low"])
    files = write_comparison(tmp_path, "Dataset001_A", models, "c")
    assert "nan" not in files[0].read_text(encoding="utf-8")
    assert "nan" not in files[2].read_text(encoding="utf-8")


def test_the_foreground_of_a_single_class_is_not_tested_twice(tmp_path):
    for model, dice in (("mednca_2d", 0.5), ("unet_2d", 0.6)):
        fold(tmp_path, model, 0, {"a": dice, "b": dice}, classes=("organ", "foreground"))
    comparison = compare(collect_results(tmp_path, SPLITS[:1]))
    assert [pair["class"] for pair in comparison.pairs] == ["organ"] * 3
    assert len(comparison.rows) == 4


def test_distances_in_voxels_are_never_labelled_mm(tmp_path):
    folder = fold(tmp_path, "mednca_2d", 0, {"a": 0.5, "b": 0.6})
    folder.write_summary(make_summary(folder.summary().cases, Units(spacing_known=False)))
    models = collect_results(tmp_path, SPLITS[:1])
    comparison = compare(models)
    assert comparison.distance_unit == row_of(comparison, "mednca_2d")["distance_unit"] == "voxels"
    text = write_comparison(tmp_path, "Dataset001_A", models, "c")[2].read_text(encoding="utf-8")
    assert "HD95 (voxels)" in text and "(mm)" not in text
