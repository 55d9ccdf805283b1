"""Whole trainings on a phantom dataset: exact resume, signals, refusals, what is written."""

import csv
import dataclasses
import json
import math
import shutil

import pytest
import torch
from safetensors.torch import load_file

from mednca_pipeline.cli.train import main as train_main
from mednca_pipeline.models.registry import build_model, read_plans
from mednca_pipeline.plans.plans import write_plans
from mednca_pipeline.plans.splits import read_splits
from mednca_pipeline.preprocessing.store import CaseStore
from mednca_pipeline.results.fold_folder import FoldFolder
from mednca_pipeline.training import fold, loop, timing
from mednca_pipeline.training.job import prepare
from mednca_pipeline.training.options import TrainingOptions
from mednca_pipeline.workspace import open_workspace

from .trainings import ITERATIONS, SEED, arguments, fold_folder, interrupt_at, weights

pytestmark = pytest.mark.slow


def test_a_training_leaves_everything_that_it_promises(uninterrupted):
    folder = fold_folder(uninterrupted)
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert run["finished"] and run["iterations"] == ITERATIONS and run["seed"] == SEED
    assert run["planned_iterations"] > ITERATIONS  # of 300 views of each slice
    assert "mednca_train" in run["command"] and run["versions"]["torch"] == torch.__version__
    rows = list(csv.DictReader((folder / "training.csv").open()))
    assert [int(row["iteration"]) for row in rows] == list(range(1, ITERATIONS + 1))
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert float(rows[-1]["learning_rate"]) < float(rows[0]["learning_rate"])
    assert all(float(row["hidden_magnitude"]) > 0 for row in rows)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert set(summary["mean"]) == set(summary["raw_mean"]) == {"anterior", "posterior", "foreground"}
    assert summary["components"] == {"anterior": 1, "posterior": 1}
    assert all(set(case["raw"]) == set(case["classes"]) for case in summary["cases"].values())
    assert len(list((folder / "validation").glob("*.nii.gz"))) == len(summary["cases"])
    assert f"seed {SEED}" in (folder / "training.log").read_text(encoding="utf-8")  # in full, although --quiet
    for name in ("progress.png", "final.safetensors", "best.safetensors", "checkpoint.pt"):
        assert (folder / name).stat().st_size > 0


def test_a_finished_fold_is_said_to_be_and_kept(uninterrupted, capsys):
    before = (fold_folder(uninterrupted) / "final.safetensors").stat().st_mtime_ns
    assert train_main([item for item in arguments(uninterrupted) if item != "--quiet"]) == 0
    assert (fold_folder(uninterrupted) / "final.safetensors").stat().st_mtime_ns == before
    told = capsys.readouterr().err
    assert "is finished" in told and "--force" in told


def test_continue_with_nothing_to_continue_is_an_error(root, capsys):
    assert train_main(arguments(root, "--continue")) == 2
    assert "expected the checkpoint of a training to continue" in capsys.readouterr().err


def test_a_finished_training_can_be_extended(root):
    assert train_main(arguments(root, "--iterations", "2")) == 0
    before = weights(root)
    assert train_main(arguments(root, "--continue", "--iterations", "4")) == 0
    run = json.loads((fold_folder(root) / "run.json").read_text(encoding="utf-8"))
    assert run["finished"] and run["iterations"] == 4
    assert len(list(csv.DictReader((fold_folder(root) / "training.csv").open()))) == 4
    assert any(not torch.equal(before[name], tensor) for name, tensor in weights(root).items())


def test_continue_without_a_checkpoint_never_restarts_what_had_begun(root, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr(loop, "train_step", interrupt_at(3))
        assert train_main(arguments(root, "--iterations", "6")) == 143
    (fold_folder(root) / "checkpoint.pt").unlink()
    assert train_main(arguments(root, "--continue")) == 2
    assert "expected the checkpoint of a training to continue" in capsys.readouterr().err
    assert (fold_folder(root) / "training.csv").exists()


def test_an_unfinished_training_is_neither_restarted_nor_shortened_unasked(root, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr(loop, "train_step", interrupt_at(3))
        assert train_main(arguments(root, "--iterations", "6")) == 143
    assert train_main(arguments(root)) == 2
    assert "--continue" in capsys.readouterr().err
    assert train_main(arguments(root, "--continue", "--iterations", "2")) == 2
    assert "expected at least the 3 that" in capsys.readouterr().err


def test_force_leaves_nothing_of_the_former_training(uninterrupted, root, monkeypatch):
    shutil.copytree(fold_folder(uninterrupted), fold_folder(root))
    monkeypatch.setattr(loop, "train_step", interrupt_at(1))
    assert train_main(arguments(root, "--iterations", "6", "--force")) == 143
    left = {path.name for path in fold_folder(root).iterdir()}
    assert not left & {"final.safetensors", "summary.json", "validation"}


def test_two_trainings_never_write_into_one_fold(root, capsys):
    with FoldFolder(fold_folder(root)).only_writer():
        assert train_main(arguments(root, "--iterations", "1")) == 2
    assert "another process that trains" in capsys.readouterr().err
    assert [path.name for path in fold_folder(root).iterdir() if path.name != ".lock"] == []


def test_fold_all_trains_on_every_case_and_validates_none(root, capsys):
    everything = ["1", "all", *arguments(root)[2:]]
    assert train_main([*everything, "--iterations", "2"]) == 0
    assert capsys.readouterr() == ("", "")  # --quiet
    folder = fold_folder(root, number="all")
    assert "6 training and 0 validation cases" in (folder / "training.log").read_text(encoding="utf-8")
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["finished"]
    assert (folder / "final.safetensors").is_file() and not (folder / "summary.json").exists()
    assert train_main([*everything, "--val"]) == 2
    assert "expected a fold with validation cases" in capsys.readouterr().err


def test_budget_is_turned_into_iterations_once(root, monkeypatch, capsys):
    monkeypatch.setattr(timing, "N_WARMUP", 1)
    monkeypatch.setattr(timing, "N_TIMED", 1)
    for more in (["--budget", "1s"], ["--continue", "--budget", "9h"]):
        with monkeypatch.context() as patched:
            patched.setattr(loop, "train_step", interrupt_at(1))
            assert train_main(arguments(root, *more)) == 143
        run = json.loads((fold_folder(root) / "run.json").read_text(encoding="utf-8"))
        assert 20 <= run["iterations"] < 10_000
    saved = torch.load(fold_folder(root) / "checkpoint.pt", weights_only=True)
    assert saved["iterations"] == run["iterations"] and saved["iteration"] == 2
    assert "--budget and --pretrained do nothing" in capsys.readouterr().err
    assert "--budget 1s; mednca_train" in run["command"] and run["command"].endswith("--continue --budget 9h")


def test_a_budget_below_the_least_is_answered_with_what_it_takes(root, monkeypatch, caplog):
    monkeypatch.setattr(fold, "measure", lambda *_: timing.Timing(1.0, 20, 0.5, 2.0, 10.0))
    job = prepare(open_workspace(root), TrainingOptions("1", 0, config="2d"))
    assert fold.time_iterations(open_workspace(root), job, 5.0) == 20
    assert (
        "5 s is less than this training takes here at least: 10 s of timing and 30 s for 20 iterations" in caplog.text
    )
    caplog.clear()
    assert fold.time_iterations(open_workspace(root), job, 3600.0) > 20 and "at least" not in caplog.text


def test_killed_while_timing_the_budget_it_begins_again_as_first_asked(root, monkeypatch):
    def killed(*_):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(fold, "time_iterations", killed)
        assert train_main(arguments(root, "--budget", "7s", "--seed", "5")) == 1
    asked = []
    monkeypatch.setattr(fold, "time_iterations", lambda workspace, job, budget_s, watch: asked.append(budget_s) or 2)
    assert train_main(arguments(root, "--continue")) == 0
    run = json.loads((fold_folder(root) / "run.json").read_text(encoding="utf-8"))
    assert asked == [7.0] and run["finished"] and run["seed"] == 5 and run["iterations"] == 2


def test_folds_of_other_splits_are_neither_continued_nor_mixed(phantom_workspace, root, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr(loop, "train_step", interrupt_at(1))
        assert train_main(arguments(root, "--iterations", "3")) == 143
    (root / "plans").unlink()
    shutil.copytree(phantom_workspace / "plans", root / "plans")
    file = open_workspace(root).splits_file("Dataset001_Phantom")
    splits = json.loads(file.read_text(encoding="utf-8"))
    splits["folds"].reverse()
    file.write_text(json.dumps(splits), encoding="utf-8")
    capsys.readouterr()
    for more in (["--continue"], ["--iterations", "3"]):
        assert train_main(["1", "0" if "--continue" in more else "1", *arguments(root, *more)[2:]]) == 2
        assert "fold_0 trained with other splits" in capsys.readouterr().err


def test_folds_of_other_plans_are_refused(phantom_workspace, root, capsys):
    assert train_main(arguments(root, "--iterations", "3")) == 0
    (root / "plans").unlink()
    shutil.copytree(phantom_workspace / "plans", root / "plans")
    file = open_workspace(root).plans_file("Dataset001_Phantom")
    plans = read_plans(file)
    slower = dataclasses.replace(plans.configs["2d"].models["mednca"], fire_rate=0.5)
    changed = plans.configs["2d"].with_model("mednca", slower)
    write_plans(file, dataclasses.replace(plans, configs={**plans.configs, "2d": changed}))
    assert train_main(["1", "1", *arguments(root, "--iterations", "3")[2:]]) == 2
    assert "never mixed" in capsys.readouterr().err


def test_pretrained_weights_are_the_start(uninterrupted, root):
    source = fold_folder(uninterrupted) / "final.safetensors"
    assert train_main(arguments(root, "--iterations", "1", "--pretrained", str(source))) == 0
    moved = max((weights(root)[name] - tensor).abs().max() for name, tensor in load_file(source).items())
    assert 0 < moved < 0.1


def test_weights_of_another_model_are_refused(uninterrupted, root, capsys):
    source = fold_folder(uninterrupted) / "final.safetensors"
    assert train_main(arguments(root, "--model", "unet_small", "--pretrained", str(source))) == 2
    assert "another architecture" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["unet_small", "mednca_paper", "unet"])
def test_other_models_train_and_every_weight_moves(root, model):
    assert train_main(arguments(root, "--model", model, "--iterations", "2", "--seed", "3")) == 0
    torch.manual_seed(3)
    untrained = build_model(model, read_plans(open_workspace(root).plans_file("Dataset001_Phantom")), "2d").state_dict()
    trained = weights(root, model)
    still = [name for name in trained if name.endswith("weight") and torch.equal(untrained[name], trained[name])]
    assert not still


@pytest.mark.parametrize("model", ["mednca", "unet_small"])
def test_three_dimensional_training(root, model):
    assert train_main(arguments(root, "--model", model, "--config", "3d", "--iterations", "2")) == 0
    summary = json.loads((fold_folder(root, model, "3d") / "summary.json").read_text(encoding="utf-8"))
    assert set(summary["mean"]) == set(summary["raw_mean"]) == {"anterior", "posterior", "foreground"}
    assert summary["components"] == {"anterior": 1, "posterior": 1}
    assert all(set(case["raw"]) == set(case["classes"]) for case in summary["cases"].values())


def test_without_a_budget_the_plans_schedule_for_the_device_is_used(root, monkeypatch):
    asked_s = []
    monkeypatch.setattr(fold, "time_iterations", lambda workspace, job, budget_s, watch: asked_s.append(budget_s) or 1)
    monkeypatch.setattr(loop, "train_step", interrupt_at(1))
    assert train_main(arguments(root, "--device", "cpu")) == 143
    plan = read_plans(open_workspace(root).plans_file("Dataset001_Phantom")).configs["2d"].models["mednca"]
    assert asked_s == [plan.training.minutes["cpu"] * 60]


def test_the_plans_schedule_ends_early_where_images_are_few_and_a_budget_does_not(root, monkeypatch):
    monkeypatch.setattr(fold, "time_iterations", lambda workspace, job, budget_s, watch: 10**6)
    monkeypatch.setattr(loop, "train_step", interrupt_at(1))
    assert train_main(arguments(root, "--device", "cpu")) == 143
    workspace = open_workspace(root)
    plan = read_plans(workspace.plans_file("Dataset001_Phantom")).configs["2d"].models["mednca"].training
    store = CaseStore(workspace.preprocessed_folder("Dataset001_Phantom", "2d"))
    trained = read_splits(workspace.splits_file("Dataset001_Phantom"), store.cases())[0].train
    slices = sum(store.properties(case).shape[0] for case in trained)
    iterations = FoldFolder(fold_folder(root)).run().iterations
    assert iterations == math.ceil(plan.most_views * slices / plan.batch_size) < 10**6
    assert FoldFolder(fold_folder(root)).run().planned_iterations == iterations
    monkeypatch.setattr(loop, "train_step", interrupt_at(1))
    assert train_main(arguments(root, "--device", "cpu", "--budget", "1min", "--force")) == 143
    run = FoldFolder(fold_folder(root)).run()
    assert run.iterations == 10**6 and run.planned_iterations is None  # known at the end
