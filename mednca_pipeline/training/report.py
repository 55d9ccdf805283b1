"""What a training leaves behind for people: training.log, training.csv, progress.png and run.json."""

import importlib.metadata
import io
import logging
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch

from ..device import peak_memory_bytes
from ..evaluation.provenance import commit, cpu_model
from ..evaluation.results import RUN_SCHEMA
from ..models.registry import count_parameters
from ..processes import cores
from ..runtime.files import replacing, write_text
from .job import Job
from .state import TrainingState

PACKAGES = ("torch", "numpy", "monai", "batchgenerators", "blosc2", "acvl_utils", "nibabel", "mednca_pipeline")


@contextmanager
def training_log(file: Path, append: bool) -> Iterator[None]:
    """Writes what the package logs into `file`, however little of it is shown on the terminal."""
    handler = logging.FileHandler(file, encoding="utf-8", mode="a" if append else "w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    package = logging.getLogger(__name__.partition(".")[0])
    level = package.level
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    try:
        yield
    finally:
        package.setLevel(level)
        package.removeHandler(handler)
        handler.close()


def write_training_csv(folder: Path, rows: list[dict[str, float]]) -> None:
    text = io.StringIO()
    pd.DataFrame(rows).to_csv(text, index=False, float_format="%.6g")
    write_text(folder / "training.csv", text.getvalue())


def draw_progress(folder: Path, rows: list[dict[str, float]], title: str) -> None:
    """progress.png: loss, Dice per class, learning rate, hidden-state magnitude, speed and memory over iterations."""
    from matplotlib.figure import Figure

    table = pd.DataFrame(rows)
    dice = [name for name in table if name.startswith("dice_")]
    panels = [
        ("training loss", ["train_loss"], False),
        ("Dice on validation samples (EMA weights)", dice, False),
        ("learning rate", ["learning_rate"], True),
        ("hidden state, largest magnitude", ["hidden_magnitude"], True),
        ("seconds per iteration", ["seconds_per_iteration"], False),
        ("peak memory, MB", ["peak_memory_mb"], False),
    ]
    figure = Figure(figsize=(13, 7), layout="constrained")
    figure.suptitle(title)
    for axes, (name, columns, logarithmic) in zip(figure.subplots(2, 3).flat, panels, strict=True):
        for column in columns:
            axes.plot(table["iteration"], table[column], label=column.removeprefix("dice_"))
        axes.set(title=name, xlabel="iteration")
        axes.grid(alpha=0.3)
        if logarithmic and (table[columns[0]] > 0).all():
            axes.set_yscale("log")
        if len(columns) > 1:
            axes.legend()
    for iteration in table.loc[table["restores"].diff() > 0, "iteration"]:
        figure.axes[0].axvline(iteration, color="red", linestyle=":")  # the guard went back here
    with replacing(folder / "progress.png") as temporary:
        figure.savefig(temporary, dpi=80)


def versions() -> dict[str, str]:
    """Versions of Python, this package and what computes."""
    found = {"python": sys.version.split()[0], "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def run_record(job: Job, state: TrainingState, finished: bool) -> dict:
    """What run.json says: enough to repeat the run and to fill the comparison's columns."""
    weights = job.folder / "final.safetensors"
    earlier = [0, *(int(row["peak_memory_mb"] * 2**20) for row in state.rows)]  # of processes before --continue, too
    return {
        "schema": RUN_SCHEMA,
        "command": job.options.command,
        "commit": commit(),
        "seed": job.options.seed,
        "versions": versions(),
        "digest": job.digest,
        "dataset": job.plans.dataset,
        "model": job.options.model,
        "config": job.config.name,
        "fold": job.options.fold,
        "split": job.split,
        "iterations": state.iterations,
        "budget_s": job.options.budget_s,
        "pretrained": job.options.pretrained and str(job.options.pretrained),
        "finished": finished,
        "training_minutes": state.minutes,
        "parameters": count_parameters(state.model),
        "peak_memory_bytes": max(peak_memory_bytes(job.device), *earlier),
        "seconds_per_iteration": state.rows[-1]["seconds_per_iteration"] if state.rows else None,
        "restores": state.guard.restores,
        "device": str(job.device),
        "threads": torch.get_num_threads(),
        "cores": cores(),
        "machine": cpu_model(),
        "file_bytes": weights.stat().st_size if weights.exists() else None,
    }
