"""The training loop in whole trainings: interrupted and continued to the same bits, and what the guard does."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from mednca_pipeline.cli.train import main as train_main
from mednca_pipeline.training import loop

from .trainings import BEGIN, ITERATIONS, arguments, assert_same_bits, explode_at, fold_folder, interrupt_at, weights

pytestmark = pytest.mark.slow


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
    assert train_main(arguments(root, *BEGIN)) == 143
    assert f"Stopped at iteration 7 of {ITERATIONS}" in capsys.readouterr().err
    saved = torch.load(fold_folder(root) / "checkpoint.pt", weights_only=True)
    assert saved["iteration"] == 7
    monkeypatch.undo()
    assert train_main(arguments(root, "--continue")) == 0  # with the seed that it began with
    assert_same_bits(weights(uninterrupted), weights(root))


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_training_saves_on_every_signal(root, monkeypatch, sent, code):
    monkeypatch.setattr(loop, "train_step", interrupt_at(2, sent))
    previous = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # this test may run under nohup
    try:
        assert train_main(arguments(root, *BEGIN)) == code
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert torch.load(fold_folder(root) / "checkpoint.pt", weights_only=True)["iteration"] == 2


def test_an_exploding_loss_goes_back_with_a_lower_rate(root, monkeypatch):
    monkeypatch.setattr(loop, "train_step", explode_at(4))
    assert train_main(arguments(root, "--iterations", "5")) == 0
    assert json.loads((fold_folder(root) / "run.json").read_text(encoding="utf-8"))["restores"] == 1
    assert "Back to iteration 3" in (fold_folder(root) / "training.log").read_text(encoding="utf-8")
    rows = list(csv.DictReader((fold_folder(root) / "training.csv").open()))
    assert [int(row["restores"]) for row in rows] == [0] * 3 + [1] * 2


def test_a_training_that_always_explodes_ends_with_a_reason(root, monkeypatch, capsys):
    monkeypatch.setattr(loop, "train_step", lambda *args: (float("inf"), 1.0))
    assert train_main(arguments(root, "--iterations", "12")) == 1
    assert "5 restores" in capsys.readouterr().err


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
    monkeypatch.setattr(loop, "train_step", explode_at(1))
    assert train_main(arguments(root, "--continue", "--iterations", "4")) == 0
    run = json.loads((fold_folder(root) / "run.json").read_text(encoding="utf-8"))
    assert run["iterations"] == 4 and run["restores"] == 1
    assert any(not torch.equal(expected[name], tensor) for name, tensor in weights(root).items())  # at half the rate
