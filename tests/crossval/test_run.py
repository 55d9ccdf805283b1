"""Cross-validation over fabricated trainings: a script in place of run_job writes what a training would."""

import shutil
from dataclasses import replace

import pytest

from mednca_pipeline.crossval.comparison import compare
from mednca_pipeline.crossval.run import crossvalidate
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import read_json, write_json

from .fabricated import DATASET, calls, fold_folder, make_plans, make_workspace, model_folder, options, use_plans


@pytest.fixture
def workspace(tmp_path):
    return make_workspace(tmp_path)


def test_the_budget_is_timed_first_and_all_folds_share_its_count(workspace):
    result = crossvalidate(workspace, options(workspace, budget="2min", models=("mednca", "unet_small")))
    timed = [(job["model"], job["fold"], job["budget_s"], job["iterations"]) for job in calls(workspace, "time")]
    assert timed == [("mednca", 0, 120.0, None), ("unet_small", 0, 120.0, None)]
    assert [job["fold"] for job in calls(workspace)] == [0, 1, 2] * 2
    assert {(job["iterations"], job["budget_s"]) for job in calls(workspace)} == {(321, None)}
    assert {job["planned_iterations"] for job in calls(workspace)} == {None}  # of the plan no one knows yet
    assert result.failed == {}
    assert {run.run.iterations for model in result.models for run in model.folds} == {321}


def test_the_plans_schedule_is_noted_with_every_fold(workspace):
    crossvalidate(workspace, options(workspace, folds=(0,)))
    assert [(job["iterations"], job["planned_iterations"]) for job in calls(workspace)] == [(321, 321)]
    file = fold_folder(workspace, 0) / "run.json"
    write_json(file, {**read_json(file), "planned_iterations": 642})
    crossvalidate(workspace, options(workspace))
    assert [job["planned_iterations"] for job in calls(workspace)] == [321, 642, 642]  # as fold 0 knows it


def test_asked_iterations_need_no_timing(workspace):
    crossvalidate(workspace, options(workspace, iterations=50, folds=(0,)))
    assert calls(workspace, "time") == [] and [job["iterations"] for job in calls(workspace)] == [50]


def test_folds_at_once_share_the_cores(workspace):
    result = crossvalidate(workspace, options(workspace, jobs=3, budget="2min"))
    assert len(result.trained) == 3
    assert {(job["iterations"], job["share"]) for job in calls(workspace)} == {(321, 3)}
    assert (fold_folder(workspace, 1) / "crossval.log").is_file()


def test_only_what_is_missing_is_trained(workspace):
    crossvalidate(workspace, options(workspace, folds=(0, 2)))
    again = crossvalidate(workspace, options(workspace))
    assert [job.fold for job, _ in again.trained] == [1]
    assert calls(workspace)[-1]["iterations"] == 321 and len(calls(workspace, "time")) == 1  # of the folds there
    assert crossvalidate(workspace, options(workspace)).trained == []


def test_unfinished_folds_go_on_and_trained_ones_are_only_validated(workspace):
    crossvalidate(workspace, options(workspace))
    folder = fold_folder(workspace, 1)
    write_json(folder / "run.json", {**read_json(folder / "run.json"), "finished": False})
    (folder / "checkpoint.pt").write_bytes(b"")
    (fold_folder(workspace, 2) / "summary.json").unlink()
    crossvalidate(workspace, options(workspace, budget="2min"))
    assert [(job["fold"], job["iterations"]) for job in calls(workspace)[3:]] == [(1, None), (2, None)]
    assert len(calls(workspace, "time")) == 1


def test_a_failed_fold_is_named_and_the_tables_say_it_is_missing(workspace):
    (workspace.root / "broken").touch()
    result = crossvalidate(workspace, options(workspace))
    assert result.failed == {"mednca_2d fold 1": "case x is broken"}
    assert [outcome.state for _, outcome in result.trained] == ["done", "failed", "done"] and not result.ours
    assert "mednca_2d is incomplete" in (workspace.results_folder(DATASET) / "comparison.md").read_text(
        encoding="utf-8"
    )
    (workspace.root / "broken").unlink()
    assert crossvalidate(workspace, options(workspace)).failed == {}
    assert "incomplete" not in (workspace.results_folder(DATASET) / "comparison.md").read_text(encoding="utf-8")


def test_models_of_other_plans_are_refused_and_never_mixed(workspace):
    crossvalidate(workspace, options(workspace, folds=(0,)))
    use_plans(workspace, make_plans(fire_rate=0.7))
    with pytest.raises(InputError, match="never mixed"):
        crossvalidate(workspace, options(workspace, models=("unet_small", "mednca")))
    assert not calls(workspace)[1:]  # before anything is trained
    result = crossvalidate(workspace, options(workspace, models=("unet_small",)))
    assert [job.model for job, _ in result.trained] == ["unet_small"] * 3
    old = next(results for results in result.models if results.name == "mednca_2d")
    assert not old.folds and "trained with other plans" in old.notes[0]
    text = (workspace.results_folder(DATASET) / "comparison.md").read_text(encoding="utf-8")
    assert "fold 0 of mednca_2d is left out" in text and "| mednca_2d |" not in text


def test_tables_do_without_the_predictions(workspace):
    crossvalidate(workspace, options(workspace))
    folder = model_folder(workspace).path
    (folder / "postprocessing.json").unlink()
    shutil.rmtree(folder / "fold_1" / "validation")
    result = crossvalidate(workspace, options(workspace))
    assert len(result.models[0].folds) == 3
    assert any("postprocessing of mednca_2d was not chosen anew" in note for note in result.models[0].notes)


def test_a_fold_that_was_validated_again_is_not_shown_with_what_was_measured_before(workspace):
    crossvalidate(workspace, options(workspace))
    folder = model_folder(workspace).path / "fold_1"
    summary = read_json(folder / "summary.json")
    for entry in summary["cases"].values():
        for metrics in (*entry["classes"].values(), *entry.get("raw", {}).values()):
            metrics["dice"] = 0.1
    write_json(folder / "summary.json", summary)
    shutil.rmtree(folder / "validation")
    result = crossvalidate(workspace, options(workspace))
    shown = [entry.classes["organ"]["dice"] for entry in result.models[0].cases.values()]
    assert min(shown) == 0.1 and not result.models[0].measured_with


def test_another_count_than_that_of_the_folds_there_is_refused(workspace):
    crossvalidate(workspace, options(workspace, folds=(0,)))
    table = workspace.results_folder(DATASET) / "comparison.csv"
    table.unlink()
    with pytest.raises(InputError, match="a training of 500 iterations, as --iterations asks, found one of 321"):
        crossvalidate(workspace, options(workspace, models=("unet", "mednca"), iterations=500))
    assert len(calls(workspace)) == 1 and not table.exists()  # nor is the other model trained


def test_folds_of_different_counts_are_named_before_the_missing_ones_are_trained(workspace, caplog):
    crossvalidate(workspace, options(workspace, folds=(0, 1)))
    run = fold_folder(workspace, 1) / "run.json"
    write_json(run, {**read_json(run), "iterations": 400})
    caplog.clear()
    crossvalidate(workspace, options(workspace))
    first = next(record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert "(fold 0: 321, fold 1: 400). Missing ones get 321" in first
    assert first.endswith("mednca_train --force --iterations 321 trains fold 1 again.")


def test_postprocessing_is_chosen_out_of_fold_and_kept_until_a_fold_changes(workspace):
    crossvalidate(workspace, options(workspace))
    file = model_folder(workspace).path / "postprocessing.json"
    stored = read_json(file, schema=2)
    assert stored["components"] == {"organ": 1}
    assert stored["folds"] == [0, 1, 2]
    assert stored["evidence"]["organ"]["dice_before"]["organ"] == pytest.approx(54 / 55)
    assert stored["evidence"]["organ"]["dice_after"]["organ"] == 1.0
    assert {case: entry["organ"]["hd95"] for case, entry in stored["metrics"].items()} == dict.fromkeys(
        ("case0", "case1", "case2"), 0.0
    )
    before = file.stat().st_mtime_ns
    crossvalidate(workspace, options(workspace))
    assert file.stat().st_mtime_ns == before
    (fold_folder(workspace, 0) / "summary.json").touch()
    crossvalidate(workspace, options(workspace))
    assert file.stat().st_mtime_ns > before


def test_the_plans_components_are_tried_again_when_they_change(workspace):
    crossvalidate(workspace, options(workspace))
    use_plans(workspace, replace(make_plans(), components={"organ": 2}))  # of the same digest
    (results,) = crossvalidate(workspace, options(workspace)).models
    assert results.postprocessing.components == {"organ": 2}  # lowers nothing, and the plan wants it
    assert results.kept == "2 components of organ"


def test_tables_show_what_prediction_writes_and_the_raw_means_beside_it(workspace):
    crossvalidate(workspace, options(workspace))
    table = (workspace.results_folder(DATASET) / "comparison.md").read_text(encoding="utf-8")
    (row,) = (line for line in table.splitlines() if line.startswith("| mednca_2d | organ |"))
    assert "| 1.0000 ± 0.0000" in row and row.endswith("| 0.5000, 1.00, 0.5000 |")
    assert "It keeps 1 component of organ (mednca_2d)." in table
    assert "mednca_2d: the components to keep were chosen on the cases of these tables" in table


def test_a_choice_of_an_earlier_version_is_measured_again_or_named(workspace):
    crossvalidate(workspace, options(workspace))
    folder = model_folder(workspace).path
    old = {"schema": 1, "classes": ["organ"], "evidence": {}, "folds": [0, 1, 2], "cases": 3}
    old["digest"] = make_plans().digest("2d", "mednca")
    write_json(folder / "postprocessing.json", old)
    assert crossvalidate(workspace, options(workspace)).models[0].measured_with
    write_json(folder / "postprocessing.json", old)
    shutil.rmtree(folder / "fold_1" / "validation")
    (results,) = crossvalidate(workspace, options(workspace)).models
    assert results.cases["case0"].classes["organ"]["dice"] == 0.5  # as validated
    (note,) = (note for note in compare([results]).notes if "mednca_predict keeps" in note)
    assert "mednca_2d (1 component of organ) than its rows were measured with (nothing removed)" in note


def test_mistakes_are_named_before_anything_runs(workspace):
    for changes, message in (
        ({"folds": (5,)}, "from 0 to 2, found 5"),
        ({"models": ("unett",)}, "unett"),
        ({"config": "3d"}, "one that is planned .2d., found '3d'"),
    ):
        with pytest.raises(InputError, match=message):
            crossvalidate(workspace, options(workspace, **changes))
    with pytest.raises(InputError, match="--budget: expected a time .*found 'soon'"):
        options(workspace, budget="soon")
    with pytest.raises(InputError, match="--budget and --iterations: expected one of them, found both"):
        options(workspace, budget="1min", iterations=5)
    assert calls(workspace) == calls(workspace, "time") == []
