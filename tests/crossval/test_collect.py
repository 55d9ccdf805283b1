"""What is collected of results folders: folds that fit the plans and the splits, and why others are left out."""

from mednca_pipeline.crossval.collect import collect_results
from mednca_pipeline.plans.splits import Fold

from .made_results import SPLITS, fold


def test_folds_of_other_plans_are_left_out_and_named(results):
    fold(results, "mednca_2d", 2, {"g": 0.1}, digest="plan-b")
    (found, _) = collect_results(results, SPLITS[:3])
    assert [result.fold for result in found.folds] == [0, 1]
    assert "g" not in found.cases
    assert any("fold 2 of mednca_2d is left out" in note and "plan-b" in note for note in found.notes)
    assert found.missing == (2,)


def test_folds_trained_on_other_cases_than_the_splits_say_are_left_out_and_named(results):
    fold(results, "mednca_2d", 2, {"a": 0.1}, split=Fold(("b",), ("a",)).digest)
    (found, _) = collect_results(results, SPLITS[:3])
    assert found.cases["a"].classes["organ"]["dice"] == 0.80
    assert any("fold 2 of mednca_2d is left out" in note and "other cases" in note for note in found.notes)
    fold(results, "mednca_2d", 2, {"a": 0.1})  # splits may validate a case twice; a mean counts it once
    (found, _) = collect_results(results, SPLITS[:3])
    assert found.cases["a"].classes["organ"]["dice"] == 0.80
    assert any("case a is also in fold 0" in note for note in found.notes)
    (renewed, _) = collect_results(results, (SPLITS[0], Fold(("a", "d"), ("b", "c", "e", "f"))))
    assert [result.fold for result in renewed.folds] == [0]  # the stale one loses, whatever its number


def test_other_folders_and_fold_all_do_not_enter(results):
    (results / "notes").mkdir()
    (results / "mednca_2d" / "fold_1").rename(results / "mednca_2d" / "fold_all")
    found = collect_results(results, SPLITS[:2])
    assert "d" not in found[0].cases
    assert [each.name for each in found] == ["mednca_2d", "unet_small_2d"]
    assert collect_results(results / "nowhere", SPLITS[:2]) == []


def test_unreadable_summary_leaves_its_fold_out(results):
    (results / "mednca_2d" / "fold_1" / "summary.json").write_text("{", encoding="utf-8")
    (found, _) = collect_results(results, SPLITS[:2])
    assert [result.fold for result in found.folds] == [0]
    assert any("fold 1 of mednca_2d is left out" in note and "expected valid JSON" in note for note in found.notes)
