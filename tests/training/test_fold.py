"""Whole trainings on a phantom dataset: exact resume, signals, refusals, what is written."""

import csv
import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from mednca_pipeline.cli.train import main as train_main
from mednca_pipeline.evaluation.metrics import Units, evaluate_case
from mednca_pipeline.evaluation.postprocessing import apply_postprocessing
from mednca_pipeline.evaluation.summary import evaluate_folder, label_files
from mednca_pipeline.models.registry import build_model, read_plans
from mednca_pipeline.plans.plans import write_plans
from mednca_pipeline.plans.splits import read_splits
from mednca_pipeline.preprocessing.store import CaseStore
from mednca_pipeline.results.fold_folder import FoldFolder
from mednca_pipeline.results.summary import read_summary
from mednca_pipeline.runtime.images import read_labels
from mednca_pipeline.training import fold, loop
from mednca_pipeline.workspace import open_workspace

pytestmark = pytest.mark.slow

ITERATIONS, SEED = 12, 3
BEGIN = ("--iterations", str(ITERATIONS), "--seed", str(SEED))


def arguments(root, *more):
    return ["1", "fold0", "--root", str(root), "-np", "0", "--quiet", *more]


def fold_folder(root, model="mednca", config="2d", number=0):
    return root / "results" / "Dataset001_Phantom" / f"{model}_{config}" / f"fold_{number}"


def weights(root, model="mednca"):
    return load_file(fold_folder(root, model) / "final.safetensors")


def assert_same_bits(expected, found):
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def interrupt_at(number):
    """A train_step that sends this process a SIGTERM during its call `number`."""
    real, calls = loop.train_step, []

    def step(*args):
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*args)

    return step


@pytest.fixture
def root(phantom_workspace, tmp_path):
    """A workspace of its own: the phantom's plans and data, and results that no other test sees."""
    for name in ("raw", "preprocessed", "plans"):
        (tmp_path / name).symlink_to(phantom_workspace / name)
    return tmp_path


@pytest.fixture(scope="session")
def uninterrupted(phantom_workspace):
    assert train_main(arguments(phantom_workspace, *BEGIN)) == 0
    return phantom_workspace


def test_a_training_leaves_everything_that_it_promises(uninterrupted):
    folder = fold_folder(uninterrupted)
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert run["finished"] and run["iterations"] == ITERATIONS and run["seed"] == SEED
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


def test_validation_keeps_raw_files_and_measures_them_raw_and_with_the_plans_components(uninterrupted):
    folder = fold_folder(uninterrupted)
    summary = read_summary(folder / "summary.json")
    labels = read_plans(folder.parent / "plans.json").labels
    references = open_workspace(uninterrupted).raw_folder("Dataset001_Phantom") / "labelsTr"
    raw = evaluate_folder(folder / "validation", references, labels, Units())
    assert summary.raw_mean == raw.mean
    for case, path in label_files(folder / "validation").items():
        reference = read_labels(label_files(references)[case])
        kept, _ = apply_postprocessing(read_labels(path).array[0], summary.components, labels)
        expected = evaluate_case(kept, reference.array[0], reference.spacing_mm, labels, Units())
        assert {name: pytest.approx(row, nan_ok=True) for name, row in expected.items()} == summary.cases[case].classes


def test_a_finished_fold_is_said_to_be_and_kept(uninterrupted, capsys):
    before = (fold_folder(uninterrupted) / "final.safetensors").stat().st_mtime_ns
    assert train_main([item for item in arguments(uninterrupted) if item != "--quiet"]) == 0
    assert (fold_folder(uninterrupted) / "final.safetensors").stat().st_mtime_ns == before
    told = capsys.readouterr().err
    assert "is finished" in told and "--force" in told


@pytest.mark.parametrize("seen", ["checkpoint.pt", "training.csv"])  # before the first epoch's end, and after
def test_killed_at_any_moment_it_continues_to_the_same_bits(uninterrupted, root, seen):
    command = [sys.executable, "-m", "mednca_pipeline.cli.train", *arguments(root, *BEGIN)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 120
    while not (fold_folder(root) / seen).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (fold_folder(root) / "final.safetensors").exists(), "killed too late to show anything"
    assert train_main(arguments(root, "--continue")) == 0  # with the seed that it began with
    assert_same_bits(weights(uninterrupted), weights(root))


def test_sigterm_saves_first_and_continue_reaches_the_same_bits(uninterrupted, root, monkeypatch, capsys):
    monkeypatch.setattr(loop, "train_step", interrupt_at(7))
    assert train_main(arguments(root, *BEGIN)) == 130
    assert f"Stopped at iteration 7 of {ITERATIONS}" in capsys.readouterr().err
    saved = torch.load(fold_folder(root) / "checkpoint.pt", weights_only=True)
    assert saved["iteration"] == 7
    monkeypatch.undo()
    assert train_main(arguments(root, "--continue")) == 0  # with the seed that it began with
    assert_same_bits(weights(uninterrupted), weights(root))


def test_an_exploding_loss_goes_back_with_a_lower_rate(root, monkeypatch):
    real, calls = loop.train_step, []

    def explode_once(*args):
        calls.append(1)
        loss, magnitude = real(*args)
        return (float("nan"), magnitude) if len(calls) == 4 else (loss, magnitude)

    monkeypatch.setattr(loop, "train_step", explode_once)
    assert train_main(arguments(root, "--iterations", "5")) == 0
    assert json.loads((fold_folder(root) / "run.json").read_text(encoding="utf-8"))["restores"] == 1
    assert "Back to iteration 3" in (fold_folder(root) / "training.log").read_text(encoding="utf-8")
    rows = list(csv.DictReader((fold_folder(root) / "training.csv").open()))
    assert [int(row["restores"]) for row in rows] == [0] * 3 + [1] * 2


def test_a_training_that_always_explodes_ends_with_a_reason(root, monkeypatch, capsys):
    monkeypatch.setattr(loop, "train_step", lambda *args: (float("inf"), 1.0))
    assert train_main(arguments(root, "--iterations", "12")) == 1
    assert "5 restores" in capsys.readouterr().err


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


def test_an_extension_survives_a_kill_and_the_guard(root, monkeypatch):
    assert train_main(arguments(root, "--iterations", "2")) == 0
    shutil.copytree(root / "results", root / "kept")

    def killed(*_):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(loop, "train_step", killed)
        assert train_main(arguments(root, "--continue", "--iterations", "4")) == 1
    assert train_main(arguments(root, "--continue")) == 0
    assert json.loads((fold_folder(root) / "run.json").read_text(encoding="utf-8"))["iterations"] == 4
    expected = weights(root)
    shutil.rmtree(root / "results")
    (root / "kept").rename(root / "results")
    real, calls = loop.train_step, []

    def explode_first(*args):
        calls.append(1)
        loss, magnitude = real(*args)
        return (float("nan"), magnitude) if len(calls) == 1 else (loss, magnitude)

    monkeypatch.setattr(loop, "train_step", explode_first)
    assert train_main(arguments(root, "--continue", "--iterations", "4")) == 0
    run = json.loads((fold_folder(root) / "run.json").read_text(encoding="utf-8"))
    assert run["iterations"] == 4 and run["restores"] == 1
    assert any(not torch.equal(expected[name], tensor) for name, tensor in weights(root).items())  # at half the rate


def test_continue_without_a_checkpoint_never_restarts_what_had_begun(root, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr(loop, "train_step", interrupt_at(3))
        assert train_main(arguments(root, "--iterations", "6")) == 130
    (fold_folder(root) / "checkpoint.pt").unlink()
    assert train_main(arguments(root, "--continue")) == 2
    assert "expected the checkpoint of a training to continue" in capsys.readouterr().err
    assert (fold_folder(root) / "training.csv").exists()


def test_an_unfinished_training_is_neither_restarted_nor_shortened_unasked(root, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr(loop, "train_step", interrupt_at(3))
        assert train_main(arguments(root, "--iterations", "6")) == 130
    assert train_main(arguments(root)) == 2
    assert "--continue" in capsys.readouterr().err
    assert train_main(arguments(root, "--continue", "--iterations", "2")) == 2
    assert "expected at least the 3 that" in capsys.readouterr().err


def test_force_leaves_nothing_of_the_former_training(uninterrupted, root, monkeypatch):
    shutil.copytree(fold_folder(uninterrupted), fold_folder(root))
    monkeypatch.setattr(loop, "train_step", interrupt_at(1))
    assert train_main(arguments(root, "--iterations", "6", "--force")) == 130
    left = {path.name for path in fold_folder(root).iterdir()}
    assert not left & {"final.safetensors", "summary.json", "validation"}


def test_two_trainings_never_write_into_one_fold(root, capsys):
    with FoldFolder(fold_folder(root)).only_writer():
        command = [sys.executable, "-m", "mednca_pipeline.cli.train", *arguments(root, "--iterations", "1")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        other = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert other.returncode == 2 and "Another process" in other.stderr
    assert [path.name for path in fold_folder(root).iterdir() if path.name != ".lock"] == []


def test_val_validates_again_and_changes_no_weight(uninterrupted, root, capsys):
    shutil.copytree(fold_folder(uninterrupted).parent, fold_folder(root).parent)
    summary = json.loads((fold_folder(root) / "summary.json").read_text(encoding="utf-8"))
    (fold_folder(root) / "summary.json").unlink()
    assert train_main(arguments(root, "--val")) == 0
    again = json.loads((fold_folder(root) / "summary.json").read_text(encoding="utf-8"))
    assert again["mean"] == summary["mean"]
    assert_same_bits(weights(uninterrupted), weights(root))


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
    monkeypatch.setattr(fold, "N_WARMUP", 1)
    monkeypatch.setattr(fold, "N_TIMED", 1)
    for more in (["--budget", "1s"], ["--continue", "--budget", "9h"]):
        with monkeypatch.context() as patched:
            patched.setattr(loop, "train_step", interrupt_at(1))
            assert train_main(arguments(root, *more)) == 130
        run = json.loads((fold_folder(root) / "run.json").read_text(encoding="utf-8"))
        assert 20 <= run["iterations"] < 10_000
    saved = torch.load(fold_folder(root) / "checkpoint.pt", weights_only=True)
    assert saved["iterations"] == run["iterations"] and saved["iteration"] == 2
    assert "--budget and --pretrained do nothing" in capsys.readouterr().err
    assert "--budget 1s; mednca_train" in run["command"] and run["command"].endswith("--continue --budget 9h")


def test_killed_while_timing_the_budget_it_begins_again_as_first_asked(root, monkeypatch):
    def killed(*_):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(fold, "time_iterations", killed)
        assert train_main(arguments(root, "--budget", "7s", "--seed", "5")) == 1
    asked = []
    monkeypatch.setattr(fold, "time_iterations", lambda job, budget_s: asked.append(budget_s) or 2)
    assert train_main(arguments(root, "--continue")) == 0
    run = json.loads((fold_folder(root) / "run.json").read_text(encoding="utf-8"))
    assert asked == [7.0] and run["finished"] and run["seed"] == 5 and run["iterations"] == 2


def test_folds_of_other_splits_are_neither_continued_nor_mixed(phantom_workspace, root, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr(loop, "train_step", interrupt_at(1))
        assert train_main(arguments(root, "--iterations", "3")) == 130
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
    monkeypatch.setattr(fold, "time_iterations", lambda job, budget_s: asked_s.append(budget_s) or 1)
    monkeypatch.setattr(loop, "train_step", interrupt_at(1))
    assert train_main(arguments(root, "--device", "cpu")) == 130
    plan = read_plans(open_workspace(root).plans_file("Dataset001_Phantom")).configs["2d"].models["mednca"]
    assert asked_s == [plan.training.minutes["cpu"] * 60]


def test_the_plans_schedule_ends_early_where_images_are_few_and_a_budget_does_not(root, monkeypatch):
    monkeypatch.setattr(fold, "time_iterations", lambda job, budget_s: 10**6)
    monkeypatch.setattr(loop, "train_step", interrupt_at(1))
    assert train_main(arguments(root, "--device", "cpu")) == 130
    workspace = open_workspace(root)
    plan = read_plans(workspace.plans_file("Dataset001_Phantom")).configs["2d"].models["mednca"].training
    store = CaseStore(workspace.preprocessed_folder("Dataset001_Phantom", "2d"))
    trained = read_splits(workspace.splits_file("Dataset001_Phantom"), store.cases())[0].train
    slices = sum(store.properties(case).shape[0] for case in trained)
    iterations = FoldFolder(fold_folder(root)).run().iterations
    assert iterations == math.ceil(plan.most_views * slices / plan.batch_size) < 10**6
    monkeypatch.setattr(loop, "train_step", interrupt_at(1))
    assert train_main(arguments(root, "--device", "cpu", "--budget", "1min", "--force")) == 130
    assert FoldFolder(fold_folder(root)).run().iterations == 10**6
