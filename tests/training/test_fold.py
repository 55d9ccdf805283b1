"""Whole trainings on a phantom dataset: exact resume, signals, refusals, what is written."""

import csv
import dataclasses
import json
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
from mednca_pipeline.planning.plans import read_plans, write_plans
from mednca_pipeline.training import loop
from mednca_pipeline.workspace import open_workspace

ITERATIONS = 24


def arguments(root, *more):
    return ["1", "fold0", "--root", str(root), "-np", "0", "--quiet", *more]


def weights(root, model="mednca"):
    return load_file(root / "results" / "Dataset001_Phantom" / f"{model}_2d" / "fold_0" / "final.safetensors")


def fold_folder(root, model="mednca"):
    return root / "results" / "Dataset001_Phantom" / f"{model}_2d" / "fold_0"


@pytest.fixture
def root(phantom_workspace, tmp_path):
    """A workspace of its own: the phantom's plans and data, and results that no other test sees."""
    for name in ("raw", "preprocessed", "plans"):
        (tmp_path / name).symlink_to(phantom_workspace / name)
    return tmp_path


@pytest.fixture(scope="session")
def uninterrupted(phantom_workspace):
    assert train_main(arguments(phantom_workspace, "--iterations", str(ITERATIONS))) == 0
    return phantom_workspace


def test_a_training_leaves_everything_that_it_promises(uninterrupted):
    folder = fold_folder(uninterrupted)
    run = json.loads((folder / "run.json").read_text())
    assert run["finished"] and run["iterations"] == ITERATIONS and run["seed"] == 0
    assert "mednca_train" in run["command"] and run["versions"]["torch"] == torch.__version__
    rows = list(csv.DictReader((folder / "training.csv").open()))
    assert [int(row["iteration"]) for row in rows] == list(range(1, ITERATIONS + 1))
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert float(rows[-1]["learning_rate"]) < float(rows[0]["learning_rate"])
    assert all(float(row["hidden_magnitude"]) > 0 for row in rows)
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary["mean"]) == {"anterior", "posterior", "foreground"}
    assert len(list((folder / "validation").glob("*.nii.gz"))) == len(summary["cases"])
    for name in ("progress.png", "training.log", "final.safetensors", "best.safetensors", "checkpoint.pt"):
        assert (folder / name).stat().st_size > 0


def test_a_finished_fold_is_said_to_be_and_kept(uninterrupted, caplog):
    before = (fold_folder(uninterrupted) / "final.safetensors").stat().st_mtime_ns
    caplog.set_level("INFO")
    assert train_main([item for item in arguments(uninterrupted) if item != "--quiet"]) == 0
    assert (fold_folder(uninterrupted) / "final.safetensors").stat().st_mtime_ns == before
    assert "is finished" in caplog.text and "--force" in caplog.text


@pytest.mark.parametrize("seen", ["checkpoint.pt", "training.csv"])  # before the first epoch's end, and after
def test_killed_at_any_moment_it_continues_to_the_same_bits(uninterrupted, root, seen):
    command = [sys.executable, "-m", "mednca_pipeline.cli.train", *arguments(root, "--iterations", str(ITERATIONS))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 120
    while not (fold_folder(root) / seen).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (fold_folder(root) / "final.safetensors").exists(), "killed too late to show anything"
    assert train_main(arguments(root, "--continue")) == 0
    expected, found = weights(uninterrupted), weights(root)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_sigterm_saves_first_and_continue_reaches_the_same_bits(uninterrupted, root, monkeypatch):
    real, calls = loop.train_step, []

    def step_and_signal(*args):
        calls.append(1)
        if len(calls) == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*args)

    monkeypatch.setattr(loop, "train_step", step_and_signal)
    assert train_main(arguments(root, "--iterations", str(ITERATIONS))) == 130
    saved = torch.load(fold_folder(root) / "checkpoint.pt", weights_only=True)
    assert saved["iteration"] == 7
    monkeypatch.undo()
    assert train_main(arguments(root, "--continue")) == 0
    expected, found = weights(uninterrupted), weights(root)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_an_exploding_loss_goes_back_with_a_lower_rate(root, monkeypatch, caplog):
    real, calls = loop.train_step, []

    def explode_once(*args):
        calls.append(1)
        loss, magnitude = real(*args)
        return (float("nan"), magnitude) if len(calls) == 10 else (loss, magnitude)

    monkeypatch.setattr(loop, "train_step", explode_once)
    assert train_main(arguments(root, "--iterations", "12")) == 0
    assert json.loads((fold_folder(root) / "run.json").read_text())["restores"] == 1
    assert "Back to iteration 9" in caplog.text
    rows = list(csv.DictReader((fold_folder(root) / "training.csv").open()))
    assert [int(row["restores"]) for row in rows] == [0] * 9 + [1] * 3


def test_a_training_that_always_explodes_ends_with_a_reason(root, monkeypatch, capsys):
    monkeypatch.setattr(loop, "train_step", lambda *args: (float("inf"), 1.0))
    assert train_main(arguments(root, "--iterations", "12")) == 1
    assert "5 restores" in capsys.readouterr().err


def test_continue_with_nothing_to_continue_is_an_error(root, capsys):
    assert train_main(arguments(root, "--continue")) == 2
    assert "Nothing to continue" in capsys.readouterr().err


def test_a_finished_training_can_be_extended(uninterrupted, root, caplog):
    assert train_main(arguments(root, "--iterations", "6")) == 0
    assert train_main(arguments(root, "--continue", "--iterations", "8")) == 0
    assert json.loads((fold_folder(root) / "run.json").read_text())["iterations"] == 8


def test_budget_is_turned_into_iterations_once(root):
    assert train_main(arguments(root, "--budget", "2s")) == 0
    run = json.loads((fold_folder(root) / "run.json").read_text())
    assert run["iterations"] >= 100


def test_folds_of_other_plans_are_refused(phantom_workspace, root, capsys):
    assert train_main(arguments(root, "--iterations", "3")) == 0
    (root / "plans").unlink()
    shutil.copytree(phantom_workspace / "plans", root / "plans")
    file = open_workspace(root).plans_file("Dataset001_Phantom")
    plans = read_plans(file)
    slower = dataclasses.replace(plans.configs["2d"].mednca, fire_rate=0.5)
    changed = dataclasses.replace(plans.configs["2d"], mednca=slower)
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
    assert train_main(arguments(root, "--model", model, "--iterations", "1", "--seed", "3")) == 0
    first = weights(root, model)
    assert train_main(arguments(root, "--model", model, "--iterations", "2", "--seed", "3", "--force")) == 0
    second = weights(root, model)
    still = [name for name in first if name.endswith("weight") and torch.equal(first[name], second[name])]
    assert not still


def test_three_dimensional_training(root):
    assert train_main(arguments(root, "--config", "3d", "--iterations", "2")) == 0
    summary = json.loads(
        (root / "results" / "Dataset001_Phantom" / "mednca_3d" / "fold_0" / "summary.json").read_text()
    )
    assert set(summary["mean"]) == {"anterior", "posterior", "foreground"}
