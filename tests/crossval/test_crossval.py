"""Cross-validation over fabricated trainings: a script in place of run_job writes what a training would."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from mednca_pipeline.cli.crossval import main
from mednca_pipeline.crossval.comparison import compare
from mednca_pipeline.crossval.run import CrossvalOptions, crossvalidate
from mednca_pipeline.evaluation.metrics import dice
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.models.registry import build_model
from mednca_pipeline.models.weights import save_weights
from mednca_pipeline.plans.model_plans import LevelPlan, NCAPlan, TrainingPlan, UNetPlan
from mednca_pipeline.plans.plans import ConfigPlan, Plans, TrainingRange, write_plans
from mednca_pipeline.plans.splits import read_splits
from mednca_pipeline.results.model_folder import ModelFolder, ModelRecord
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import read_json, write_json
from mednca_pipeline.runtime.images import read_image, read_labels
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.preprocessing import PreprocessingPlan
from mednca_pipeline.workspace import open_workspace

DATASET = "Dataset004_Hippocampus"
TRAIN = """
import json, pathlib, shutil, sys
file = pathlib.Path(sys.argv[1])
job = json.loads(file.read_text(encoding="utf-8"))
root, dataset, fold = pathlib.Path(job["root"]), job["dataset"], job["fold"]
folder = root / "results" / dataset / (job["model"] + "_" + job["config"]) / ("fold_%d" % fold)
with (root / "calls.jsonl").open("a") as stream:
    stream.write(json.dumps(job) + "\\n")
def end(state="done", **more):
    outcome = dict(schema=1, id=job["id"], state=state, minutes=0.1, **more)
    (folder / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")
    sys.exit(0)
if job["action"] == "time":
    end(iterations=321)
if (root / "broken").exists() and fold == 1:
    end("failed", error="case x is broken", fault="input")
(folder / "validation").mkdir(parents=True, exist_ok=True)
shutil.copy(root / "plans" / dataset / "plans.json", folder.parent / "plans.json")
digests = json.loads((root / "digests.json").read_text(encoding="utf-8"))
digest, split = digests[job["model"]], digests["splits"][fold]
iterations = job["iterations"] or 321
run = dict(schema=1, finished=True, digest=digest, split=split, iterations=iterations, seed=0, device="cpu", threads=1,
           command=job["command"], parameters=10, file_bytes=40, training_minutes=1.0, peak_memory_bytes=1)
(folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
(folder / "final.safetensors").write_bytes(b"")
case = "case%d" % fold
shutil.copy(root / "predicted" / (case + ".nii.gz"), folder / "validation")
values = dict(dice=0.5, hd95=1.0, nsd=0.5, volume_predicted=1.0, volume_reference=1.0)
cases = {case: dict(classes=dict(organ=values, foreground=values), seconds=1.0, quality=None)}
units = dict(distance="mm", volume="mm^dimensions", nsd_tolerance=1.0)
summary = dict(schema=1, policy="", units=units, cases=cases, mean={}, sd={})
(folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
end()
"""


def make_plans(fire_rate=0.5):
    training = TrainingPlan("adam", 1e-3, 2, 0.99, {"cpu": 1.0})
    nca = NCAPlan(8, 16, fire_rate, "rms", "reflect", "matrix", (LevelPlan((1, 1), 4),), training)
    unet = UNetPlan((4, 8, 8), ((1, 1), (2, 2), (2, 2)), ((3, 3),) * 3, (8, 8), training)
    steps = PreprocessingPlan((0, 1, 2), (None, 1.0, 1.0), ("zscore",))
    models = {"mednca": nca, "mednca_paper": nca, "unet": unet, "unet_small": unet}
    return Plans(
        dataset=DATASET,
        channel_names=("MRI",),
        labels=Labels(("organ",), ((1,),)),
        file_ending=".nii.gz",
        spacing_known=True,
        default_config="2d",
        configs={"2d": ConfigPlan("2d", 2, steps, (8, 8), models)},
        training_range=TrainingRange(((1.0, 1.0),) * 3, ((8.0, 8.0),) * 3, ((0.0, 1.0),)),
        decisions=(),
    )


@pytest.fixture
def workspace(tmp_path):
    """Three cases, three folds of one case each; every prediction has a stray voxel besides the true organ."""
    raw = tmp_path / "raw" / DATASET
    for folder in (raw / "imagesTr", raw / "labelsTr", tmp_path / "predicted"):
        folder.mkdir(parents=True)
    truth = np.zeros((6, 6, 6), np.uint8)
    truth[1:4, 1:4, 1:4] = 1
    predicted = truth.copy()
    predicted[5, 5, 5] = 1
    for index in range(3):
        for file, array in (
            (raw / "imagesTr" / f"case{index}_0000.nii.gz", np.random.default_rng(index).normal(size=truth.shape)),
            (raw / "labelsTr" / f"case{index}.nii.gz", truth),
            (tmp_path / "predicted" / f"case{index}.nii.gz", predicted),
        ):
            nib.save(nib.Nifti1Image(array.astype(np.float32 if "images" in str(file) else np.uint8), np.eye(4)), file)
    dataset = {"channel_names": {"0": "MRI"}, "labels": {"background": 0, "organ": 1}, "numTraining": 3}
    write_json(raw / "dataset.json", {**dataset, "file_ending": ".nii.gz"})
    names = [f"case{index}" for index in range(3)]
    folds = [{"train": [other for other in names if other != name], "val": [name]} for name in names]
    opened = open_workspace(tmp_path)
    write_json(opened.splits_file(DATASET), {"schema": 1, "folds": folds})
    use_plans(opened, make_plans())
    (tmp_path / "train.py").write_text(TRAIN, encoding="utf-8")
    return opened


def use_plans(workspace, plans):
    write_plans(workspace.plans_file(DATASET), plans)
    models = ("mednca", "mednca_paper", "unet", "unet_small")
    digests = {model: plans.digest("2d", model) for model in models}
    splits = read_splits(workspace.splits_file(DATASET), [f"case{index}" for index in range(3)])
    write_json(workspace.root / "digests.json", {**digests, "splits": [fold.digest for fold in splits]})


def options(workspace, **changes):
    return CrossvalOptions("4", **{"models": ("mednca",), "runner": (str(workspace.root / "train.py"),), **changes})


def calls(workspace, action="train"):
    """The jobs that were done."""
    file = workspace.root / "calls.jsonl"
    made = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    return [job for job in made if job["action"] == action]


def model_folder(workspace, model="mednca"):
    return ModelFolder.of(workspace.results_folder(DATASET), ModelRecord(DATASET, model, "2d"))


def fold_folder(workspace, fold, model="mednca"):
    return model_folder(workspace, model).fold(fold).path


def test_the_budget_is_timed_first_and_all_folds_share_its_count(workspace):
    result = crossvalidate(workspace, options(workspace, budget="2min", models=("mednca", "unet_small")))
    timed = [(job["model"], job["fold"], job["budget_s"], job["iterations"]) for job in calls(workspace, "time")]
    assert timed == [("mednca", 0, 120.0, None), ("unet_small", 0, 120.0, None)]
    assert [job["fold"] for job in calls(workspace)] == [0, 1, 2] * 2
    assert {(job["iterations"], job["budget_s"]) for job in calls(workspace)} == {(321, None)}
    assert result.failed == {}
    assert {run.run.iterations for model in result.models for run in model.folds} == {321}


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
    result = crossvalidate(workspace, options(workspace, models=("mednca", "unet_small")))
    assert list(result.failed) == ["mednca_2d"]
    assert "never mixed" in result.failed["mednca_2d"]
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
    assert min(shown) == 0.1 and not result.models[0].is_measured


def test_another_count_than_that_of_the_folds_there_is_refused(workspace):
    crossvalidate(workspace, options(workspace, folds=(0,)))
    result = crossvalidate(workspace, options(workspace, iterations=500))
    assert "321 iterations, --iterations asks for 500" in result.failed["mednca_2d"]
    assert len(calls(workspace)) == 1


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
    assert crossvalidate(workspace, options(workspace)).models[0].is_measured
    write_json(folder / "postprocessing.json", old)
    shutil.rmtree(folder / "fold_1" / "validation")
    (results,) = crossvalidate(workspace, options(workspace)).models
    assert results.cases["case0"].classes["organ"]["dice"] == 0.5  # as validated
    (note,) = (note for note in compare([results]).notes if "mednca_predict keeps" in note)
    assert "mednca_2d (1 component of organ) than its rows were measured with (nothing removed)" in note


def plant_weights(workspace, folds=(0, 1, 2)):
    """Random weights in place of those that no training made."""
    for index, model in enumerate(("mednca", "unet_small")):
        for fold in folds:
            torch.manual_seed(10 * index + fold)
            network = build_model(model, make_plans(), "2d")
            for parameter in network.parameters():
                torch.nn.init.normal_(parameter, std=0.5)
            save_weights(fold_folder(workspace, fold, model) / "final.safetensors", network)


BOTH = ("unet_small", "mednca")
ENSEMBLE, ENSEMBLE_FOLDER = "mednca_2d + unet_small_2d", "mednca_2d+unet_small_2d"


def rows_of(workspace, name="comparison.csv"):
    return pd.read_csv(workspace.results_folder(DATASET) / name)


def test_the_mean_of_the_models_is_a_row_of_the_comparison(workspace):
    crossvalidate(workspace, options(workspace, models=BOTH, folds=(0, 1)))
    before = rows_of(workspace)
    plant_weights(workspace, folds=(0, 1))
    result = crossvalidate(workspace, options(workspace, models=BOTH, folds=(0, 1), ensemble=True))
    assert result.failed == {} and result.trained == []
    scores = []
    for fold in (0, 1):
        image = read_image([workspace.raw_folder(DATASET) / "imagesTr" / f"case{fold}_0000.nii.gz"])
        folders = [model_folder(workspace, model).path for model in ("mednca", "unet_small")]
        members = [Predictor.from_folder(folder, [fold], PredictionOptions(postprocess=False)) for folder in folders]
        maps = [member.predict(image.array, image.spacing_mm).probabilities for member in members]
        folder = workspace.results_folder(DATASET) / ENSEMBLE_FOLDER / f"fold_{fold}"
        found = read_labels(folder / "validation" / f"case{fold}.nii.gz").array[0]
        np.testing.assert_array_equal(found, np.mean(maps, axis=0).argmax(axis=0))
        truth = read_labels(workspace.raw_folder(DATASET) / "labelsTr" / f"case{fold}.nii.gz").array[0]
        scores.append(dice(found == 1, truth == 1))
    assert max(scores) > 0
    after = rows_of(workspace)
    row = after[(after["model"] == ENSEMBLE) & (after["class"] == "organ")].iloc[0]
    assert row["dice_mean"] == pytest.approx(np.mean(scores))
    assert (row["folds"], row["missing_folds"]) == ("0 1", 2)
    assert (row["parameters"], row["file_bytes"], row["training_minutes"]) == (20, 80, 2.0)
    assert row["seconds_per_case"] > 0
    pd.testing.assert_frame_equal(after[after["model"] != ENSEMBLE].reset_index(drop=True), before)
    pairs = rows_of(workspace, "comparison_pairs.csv")
    assert set(zip(pairs["first"], pairs["second"], strict=True)) == {
        ("mednca_2d", "unet_small_2d"),
        ("mednca_2d", ENSEMBLE),
        ("unet_small_2d", ENSEMBLE),
    }
    origin = (workspace.results_folder(DATASET) / "comparison.md").read_text(encoding="utf-8")
    assert f"- {ENSEMBLE}: the mean of the models' probabilities" in origin


def test_an_ensemble_is_kept_until_one_of_its_models_was_trained_again(workspace):
    crossvalidate(workspace, options(workspace, models=BOTH))
    plant_weights(workspace)
    crossvalidate(workspace, options(workspace, models=BOTH, ensemble=True))
    summaries = [
        workspace.results_folder(DATASET) / ENSEMBLE_FOLDER / f"fold_{fold}" / "summary.json" for fold in range(3)
    ]
    made = [file.stat().st_mtime_ns for file in summaries]
    crossvalidate(workspace, options(workspace, models=BOTH[::-1], ensemble=True))
    assert [file.stat().st_mtime_ns for file in summaries] == made
    run_file = fold_folder(workspace, 1, "unet_small") / "run.json"
    run_file.touch()
    assert crossvalidate(workspace, options(workspace, models=BOTH)).models[-1].missing == ()
    write_json(run_file, {**read_json(run_file), "training_minutes": 3.0})
    stale = crossvalidate(workspace, options(workspace, models=BOTH)).models[-1]
    assert stale.name == ENSEMBLE and stale.missing == (1,)
    assert f"fold 1 of {ENSEMBLE} is left out" in stale.notes[0]
    renewed = crossvalidate(workspace, options(workspace, models=BOTH, ensemble=True)).models[-1]
    assert renewed.missing == () and renewed.notes == ()
    assert [file.stat().st_mtime_ns == before for file, before in zip(summaries, made, strict=True)] == [1, 0, 1]


def test_an_ensemble_needs_a_fold_that_all_models_have_finished(workspace):
    with pytest.raises(InputError, match="--ensemble averages several models, found mednca in --models"):
        options(workspace, ensemble=True)
    crossvalidate(workspace, options(workspace, models=("mednca",), folds=(0,)))
    result = crossvalidate(workspace, options(workspace, models=BOTH, folds=(1,), ensemble=True))
    assert result.files  # fold 1 of both has no weights, which spoils no table of the models
    assert list(result.failed) == [ENSEMBLE] and not result.ours
    shutil.rmtree(model_folder(workspace, "unet_small").path)
    (workspace.root / "broken").touch()
    result = crossvalidate(workspace, options(workspace, models=BOTH, folds=(1,), ensemble=True))
    assert "expected a fold that mednca_2d and unet_small_2d have finished" in result.failed[ENSEMBLE]


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
    with pytest.raises(InputError, match="exclude each other"):
        options(workspace, budget="1min", iterations=5)
    assert calls(workspace) == calls(workspace, "time") == []


def test_command_prints_the_table_and_the_exit_code_names_the_kind_of_failure(workspace, monkeypatch, capsys):
    import mednca_pipeline.crossval.run as library

    made, script = library.CrossvalOptions, (str(workspace.root / "train.py"),)
    monkeypatch.setattr(library, "CrossvalOptions", lambda **given: made(**given, runner=script))
    arguments = ["4", "--models", "mednca", "--root", str(workspace.root)]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert "1.000 ± 0.000" in output
    assert str(Path("Dataset004_Hippocampus") / "comparison.md") in output
    (fold_folder(workspace, 1) / "run.json").unlink()
    (workspace.root / "broken").touch()
    assert main(arguments) == 2
    assert "failed: mednca_2d fold 1: case x is broken" in capsys.readouterr().err
    (workspace.root / "broken").unlink()
    both = ["4", "--models", *BOTH, "--root", str(workspace.root)]
    assert main(both) == 0
    plant_weights(workspace)
    capsys.readouterr()
    assert main([*both, "--ensemble"]) == 0
    assert "mednca_2d +" in capsys.readouterr().out
