"""All that is measured on a GPU, in one command of less than ten minutes.

    python -m benchmarks.gpu --root WORKSPACE -d 4

Runs, each as a process of its own: benchmarks.training, .step, .memory and .inference with --device cuda, the tests
that need a GPU, and the five folds of the planned `mednca` as five processes at once. The folds are trained in
WORKSPACE/gpu, with the data and plans of WORKSPACE, where the dataset is planned and preprocessed.

Writes results/benchmarks/gpu.json and gpu.md after each part, and its output to gpu_<part>.log. A part that fails or
takes too long does not stop the others. The same command runs again only what is not done at this commit, and goes on
with folds that are not finished; --anew runs all.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mednca_pipeline.cli.common import DONE, OUR_FAULT, command_parser, run_command
from mednca_pipeline.models.registry import read_plans
from mednca_pipeline.preprocessing.store import CaseStore
from mednca_pipeline.results.model_folder import model_folders
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import read_json, write_json, write_text
from mednca_pipeline.workspace import Workspace, open_workspace

from . import timing

ROOT = Path(__file__).parents[1]
MINUTES = 9.5
LEAST_S, GRACE_S = 10.0, 20.0  # a part is not begun with less; a stopped one may take so long to save
FOLDS = "folds"
NOTES = """\
Asked: of a training step of the published network with a batch of 48 and 64+64 steps, the authors' time over ours is at
least 10; five folds of the hippocampus plan, run as five processes at once, end within 10 minutes. The folds' time is
that of the whole command: training, validation and comparison. The budget is turned into iterations on the first fold
while nothing else runs, so that all take longer than the budget where they wait for one another."""


@dataclass(frozen=True)
class Part:
    """A command, python with `words`. record: of results/benchmarks, the JSON with its figures."""

    name: str
    words: tuple[str, ...]
    limit_s: float
    record: str = ""

    def command(self, given: Workspace) -> str:
        return anonymous(" ".join(["python", *self.words]), given)


def parts_of(root: Path, dataset: str, budget: str) -> list[Part]:
    """In order of importance. root: the folds' workspace."""
    on_gpu = ("--device", "cuda")
    folds = ("mednca_pipeline.cli.crossval", dataset, "--root", str(root), "--models", "mednca", "--jobs", "5")
    return [
        Part("training", ("-m", "benchmarks.training", *on_gpu, "--rounds", "10"), 90, "training_cuda"),
        Part("step", ("-m", "benchmarks.step", *on_gpu), 60, "step_cuda"),
        Part("tests", ("-m", "pytest", "-q", "tests/training/test_cuda.py"), 150),
        Part(FOLDS, ("-m", *folds, *on_gpu, "--budget", budget), 420),
        Part("memory", ("-m", "benchmarks.memory", *on_gpu), 150, "memory_step_cuda"),
        Part("inference", ("-m", "benchmarks.inference", *on_gpu, "--rounds", "3"), 150, "inference_cuda"),
    ]


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "python -m benchmarks.gpu", __doc__, "  python -m benchmarks.gpu --root WORKSPACE -d 4 --budget 1min"
    )
    parser.add_argument("-d", required=True, help="dataset of the five folds: 4, 004 or Dataset004_Hippocampus")
    parser.add_argument("--budget", default="2min", help="of each fold's training loop (default: 2min)")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"for all of it (default: {MINUTES})")
    parser.add_argument("--anew", action="store_true", help="run again what is done, too")
    return run_command(parser, _measure, argv)


def _measure(arguments: argparse.Namespace) -> int:
    end = time.monotonic() + 60 * arguments.minutes
    device = cuda_device()
    given = open_workspace(arguments.root)
    dataset = given.resolve(arguments.d)
    origin = timing.described(device) | {"digest": planned_digest(given, dataset)}
    workspace = fold_workspace(given)
    parts = parts_of(workspace.root, dataset, arguments.budget)
    entries = {} if arguments.anew else earlier_entries(origin, {part.name: part.command(given) for part in parts})
    for part in parts:
        entry = entries.get(part.name, {})
        if entry.get("outcome") != "done":
            say(f"{part.name} …", arguments.quiet)
            entry = {"date": origin["date"]} | measured(part, given, workspace, dataset, entry, end)
        entries[part.name] = entry
        say(f"{part.name}: {entry['outcome']}, {entry['seconds']:.0f} s, {entry['date']}", arguments.quiet)
        write_report(origin, {part.name: entries[part.name] for part in parts if part.name in entries})
    say(f"Written: {timing.OUT / 'gpu'}.json and .md", arguments.quiet)
    return DONE if all(entry["outcome"] == "done" for entry in entries.values()) else OUR_FAULT


def measured(part: Part, given: Workspace, workspace: Workspace, dataset: str, before: dict, end: float) -> dict:
    """Runs a part and says what came of it. before: of an attempt that did not end; {} without any."""
    if part.name == FOLDS and not before:
        shutil.rmtree(workspace.root / "results", ignore_errors=True)
    seconds, outcome = run(part, min(part.limit_s, end - time.monotonic() - GRACE_S))
    entry = {"command": part.command(given), "outcome": anonymous(outcome, given), "seconds": round(seconds, 3)}
    if part.name == FOLDS:
        entry["seconds"] += before.get("seconds", 0)
        entry["folds"] = folds_in(workspace, dataset)
    if outcome == "done" and part.record:
        entry["figures"] = read_json(timing.OUT / f"{part.record}.json")["figures"]
    return entry


def anonymous(text: str, given: Workspace) -> str:
    return text.replace(str(given.root.resolve()), "WORKSPACE")


def cuda_device() -> torch.device:
    """Raises InputError where there is none."""
    if not torch.cuda.is_available():
        raise InputError(f"No CUDA device: torch {torch.__version__} finds none here, and all of this runs on one.")
    return torch.device("cuda")


def planned_digest(workspace: Workspace, dataset: str) -> str:
    """Of the planned `mednca`. Raises InputError where the dataset is not planned and preprocessed."""
    plans = read_plans(workspace.plans_file(dataset))
    config = plans.config().name
    folder = workspace.preprocessed_folder(dataset, config)
    if not CaseStore(folder).cases():
        raise InputError(f"No preprocessed cases in {folder}: run mednca_plan_and_preprocess -d {dataset}.")
    return plans.digest(config, "mednca")


def fold_workspace(given: Workspace) -> Workspace:
    """A workspace inside `given`, with its data and plans but results of its own."""
    root = given.root.resolve() / "gpu"
    root.mkdir(exist_ok=True)
    for name in ("raw", "plans", "preprocessed"):
        if not (root / name).is_symlink():
            (root / name).symlink_to(given.root.resolve() / name)
    return Workspace(root, given.nnunet_raw)


def earlier_entries(origin: dict[str, str], commands: dict[str, str]) -> dict[str, dict]:
    """What gpu.json has of the parts, if it is of this commit, device and plan. commands: of each part."""
    file = timing.OUT / "gpu.json"
    if not file.exists():
        return {}
    found = read_json(file)
    if any(found[key] != origin[key] for key in ("commit", "device", "digest")):
        return {}
    return {name: entry for name, entry in found["parts"].items() if entry["command"] == commands.get(name)}


def run(part: Part, limit_s: float) -> tuple[float, str]:
    """Seconds, and "done" or what happened instead."""
    if limit_s < min(LEAST_S, part.limit_s):
        return 0.0, "not begun: no time left"
    log, begun = timing.OUT / f"gpu_{part.name}.log", time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *part.words], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(limit_s)
            outcome = "done" if code == 0 else f"failed (exit code {code}): {last_line(log)}"
        except subprocess.TimeoutExpired:
            outcome = f"stopped after {limit_s:.0f} s"
        finally:
            stop(process)
    return time.monotonic() - begun, outcome


def stop(process: subprocess.Popen) -> None:
    """Ends a process that still runs, with those that it started; trainings save before."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            continue


def last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "no output").replace("|", ";")


def folds_in(workspace: Workspace, dataset: str) -> list[dict]:
    """What each fold's run and summary say; without Dice where it is not finished."""
    rows = []
    for fold in (fold for model in model_folders(workspace.results_folder(dataset)) for fold in model.folds()):
        run = fold.run()
        if run is None:
            continue
        mean = fold.summary().mean if fold.is_validated() else {}
        dice = {name: round(values["dice"], 4) for name, values in mean.items()}
        minutes = round(run.training_minutes, 2)
        rows.append({"fold": fold.path.name, "iterations": run.iterations, "minutes": minutes, "dice": dice})
    return rows


def write_report(origin: dict[str, str], parts: dict[str, dict]) -> None:
    """gpu.json and gpu.md, of the parts so far."""
    command = timing.command_line()
    write_json(timing.OUT / "gpu.json", {"command": command, **origin, "parts": parts})
    said = ", ".join(f"{key} {value}" for key, value in origin.items())
    tables = [timing.figures_table(figures_of(parts)), parts_table(parts)]
    if parts.get(FOLDS, {}).get("folds"):
        tables.append(folds_table(parts[FOLDS]["folds"]))
    write_text(timing.OUT / "gpu.md", "\n\n".join([f"`{command}`; {said}", NOTES, *tables]) + "\n")


def figures_of(parts: dict[str, dict]) -> list[dict]:
    """Of all parts that are done."""
    figures = []
    for name, part in parts.items():
        figures += [row | {"figure": f"{name}: {row['figure']}"} for row in part.get("figures", [])]
        if name == FOLDS and part["outcome"] == "done":
            minutes = timing.spread(np.array([part["seconds"] / 60]))
            figures.append(timing.figure(f"folds: {len(part['folds'])} at once", minutes, "min", "< 10"))
    return figures


def parts_table(parts: dict[str, dict]) -> str:
    lines = ["| part | outcome | s | begun | command |", "|---|---|---|---|---|"]
    for name, part in parts.items():
        lines.append(f"| {name} | {part['outcome']} | {part['seconds']:.0f} | {part['date']} | `{part['command']}` |")
    return "\n".join(lines)


def folds_table(folds: Sequence[dict]) -> str:
    lines = ["| fold | iterations | minutes of training | Dice |", "|---|---|---|---|"]
    for row in folds:
        dice = ", ".join(f"{name} {value:.4f}" for name, value in row["dice"].items()) or "not finished"
        lines.append(f"| {row['fold']} | {row['iterations']:,} | {row['minutes']:.1f} | {dice} |")
    return "\n".join(lines)


def say(text: str, quiet: bool) -> None:
    if not quiet:
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
