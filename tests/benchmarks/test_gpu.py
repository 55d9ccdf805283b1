"""The benchmark of a GPU, its parts replaced by small commands: what it writes, keeps and runs again."""

import json
import time

import pytest
import torch

from benchmarks import gpu, timing
from benchmarks.gpu import FOLDS, Part

from ..phantom_workspaces import linked_workspace

FIGURE = timing.figure("authors / ours", {"low": 11.0, "median": 12.0, "high": 13.0}, "x", "10")
WRITES = "import json, pathlib; pathlib.Path({!r}).write_text(json.dumps({!r}))"
TRAINS = """
import pathlib
from mednca_pipeline.results.fold_folder import FoldFolder
from mednca_pipeline.results.run_record import RunRecord
from mednca_pipeline.results.summary import Summary, SummaryUnits
fold = FoldFolder(pathlib.Path({root!r}, "results", "Dataset001_Phantom", "mednca_2d", "fold_0"))
finished = fold.run() is not None
fold.write_run(RunRecord(iterations=1200, training_minutes=1.5, finished=finished))
fold.write_summary(Summary({{}}, {{"foreground": {{"dice": 0.9}}}}, {{}}, SummaryUnits("mm", "mm^dimensions", 1.0), ""))
raise SystemExit(0 if finished else "error: one fold was interrupted")
"""


@pytest.fixture
def parts(phantom_workspace, tmp_path, monkeypatch):
    """The parts, to be changed; a workspace as `root`."""
    linked_workspace(phantom_workspace, tmp_path)
    chosen = {
        "training": Part(
            "training", ("-c", WRITES.format(str(tmp_path / "made.json"), {"figures": [FIGURE]})), 60, "made"
        ),
        "step": Part("step", ("-c", "raise SystemExit('error: no kernel | for this card')"), 60),
        "tests": Part("tests", ("-c", "import time; time.sleep(60)"), 1),
        FOLDS: Part(FOLDS, ("-c", TRAINS.format(root=str(tmp_path / "gpu"))), 60),
    }
    monkeypatch.setattr(timing, "OUT", tmp_path)
    monkeypatch.setattr(gpu, "cuda_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(gpu, "parts_of", lambda *_: list(chosen.values()))
    monkeypatch.setattr("sys.argv", ["benchmarks/gpu.py"])
    return chosen


def measure(folder, *more):
    code = gpu.main(["--root", str(folder), "-d", "1", *more])
    return code, json.loads((folder / "gpu.json").read_text(encoding="utf-8"))["parts"]


def interrupt():
    raise KeyboardInterrupt


def test_a_failing_part_loses_nothing_and_is_run_again_alone(parts, tmp_path):
    begun = time.monotonic()
    code, found = measure(tmp_path)
    assert code == 1 and time.monotonic() - begun < 30  # the slow part was stopped
    assert {name: entry["outcome"] for name, entry in found.items()} == {
        "training": "done",
        "step": "failed (exit code 1): error: no kernel ; for this card",
        "tests": "stopped after 1 s",
        FOLDS: "failed (exit code 1): error: one fold was interrupted",
    }
    page = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert "| training: authors / ours | 12.0 (11.0–13.0) x | 10 |" in page
    assert "| fold_0 | 1,200 | 1.5 | not finished |" in page and "folds: 1 at once" not in page

    ended = found[FOLDS]["seconds"]
    (tmp_path / "made.json").unlink()
    parts["step"] = Part("step", ("-c", "pass"), 60)
    parts["tests"] = Part("tests", ("-c", "pass"), 60)
    code, found = measure(tmp_path)
    assert code == 0 and not (tmp_path / "made.json").exists()  # training was not run again
    assert found["training"]["figures"] == [FIGURE]
    assert found[FOLDS]["seconds"] > ended and found[FOLDS]["folds"][0]["dice"] == {"foreground": 0.9}
    page = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert "folds: 1 at once" in page and "min | < 10 |" in page
    assert "| fold_0 | 1,200 | 1.5 | foreground 0.9000 |" in page
    assert str(tmp_path) not in page

    code, found = measure(tmp_path, "--anew")
    assert (tmp_path / "made.json").exists() and found[FOLDS]["outcome"] != "done"  # from the beginning


def test_an_interruption_loses_nothing(parts, tmp_path, monkeypatch):
    ended = ("-c", "pass")
    parts["step"], parts["tests"] = Part("step", ("-c", "raise SystemExit(1)"), 60), Part("tests", ended, 60)
    measure(tmp_path)
    parts["step"] = Part("step", ended, 60)
    monkeypatch.setattr(gpu, "run", lambda part, limit_s: (1.0, "done") if part.name == "step" else interrupt())
    assert gpu.main(["--root", str(tmp_path), "-d", "1"]) == 130
    found = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))["parts"]
    assert [found[name]["outcome"] for name in ("training", "step", "tests")] == ["done"] * 3


def test_what_is_of_another_commit_is_measured_again(parts, tmp_path, monkeypatch):
    measure(tmp_path)
    (tmp_path / "made.json").unlink()
    described = timing.described
    monkeypatch.setattr(timing, "described", lambda device: described(device) | {"commit": "another"})
    measure(tmp_path)
    assert (tmp_path / "made.json").exists()


def test_without_time_left_nothing_is_begun(parts, tmp_path):
    _, found = measure(tmp_path, "--minutes", "0.1")
    assert {entry["outcome"] for entry in found.values()} == {"not begun: no time left"}


def test_its_parts_are_asked_for_by_their_commands(tmp_path):
    parts = {part.name: part for part in gpu.parts_of(tmp_path, "Dataset004_Hippocampus", "90s")}
    assert list(parts) == ["training", "step", "tests", FOLDS, "memory", "inference"]
    assert parts[FOLDS].words[1:] == (
        *("mednca_pipeline.cli.crossval", "Dataset004_Hippocampus", "--root", str(tmp_path), "--models", "mednca"),
        *("--jobs", "5", "--device", "cuda", "--budget", "90s"),
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_without_a_gpu_it_says_so_in_one_line(tmp_path, capsys):
    assert gpu.main(["--root", str(tmp_path), "-d", "1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: No CUDA device: torch ")
