"""What a training leaves behind for people: its log, its curve and what run.json says."""

import importlib.metadata
import io
import logging
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch

from ..device import peak_memory_bytes
from ..evaluation.colours import Colour
from ..evaluation.provenance import commit, cpu_model
from ..execution.processes import cores
from ..models.registry import count_parameters
from ..results.run_record import RunRecord
from ..runtime.files import no_link, replacing, write_text
from ..runtime.printing import PrintableFormatter
from .job import Job
from .planned import planned_iterations
from .state import TrainingState

PACKAGES = ("torch", "numpy", "monai", "batchgenerators", "blosc2", "acvl_utils", "nibabel", "mednca_pipeline")


@contextmanager
def training_log(file: Path, append: bool) -> Iterator[None]:
    """Writes what the package logs into `file`, however little of it is shown on the terminal.

    Raises OSError where the file is a symbolic link: nothing is written through it.
    """
    if not append:
        file.unlink(missing_ok=True)
    stream = open(file, "a", encoding="utf-8", errors="backslashreplace", opener=no_link)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PrintableFormatter("%(asctime)s %(message)s"))
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
        stream.close()


def write_curve(file: Path, rows: list[dict[str, float]]) -> None:
    """A CSV with a row per epoch."""
    text = io.StringIO()
    pd.DataFrame(rows).to_csv(text, index=False, float_format="%.6g")
    write_text(file, text.getvalue())


def draw_curve(
    file: Path, rows: list[dict[str, float]], title: str, colours: Mapping[str, Colour] | None = None
) -> None:
    """A PNG: loss, Dice per class, learning rate, hidden-state magnitude, speed and memory over iterations.

    colours: of the classes, by name. A network without a state, a UNet, has no panel for it.
    """
    from matplotlib.figure import Figure

    table = pd.DataFrame(rows)
    dice = [name for name in table if name.startswith("dice_")]
    stateful = [("hidden state, largest magnitude", ["hidden_magnitude"], True)] if has_state(rows) else []
    panels: list[tuple[str, list[str], bool]] = [
        ("training loss", ["train_loss"], False),
        ("Dice on validation samples (EMA weights)", dice, False),
        ("learning rate", ["learning_rate"], True),
        *stateful,
        ("seconds per iteration", ["seconds_per_iteration"], False),
        ("peak memory, MB", ["peak_memory_mb"], False),
    ]
    figure = Figure(figsize=(13, 7), layout="constrained")
    figure.suptitle(title)
    grid = list(figure.subplots(2, 3).flat)
    for axes in grid[len(panels) :]:
        axes.remove()
    for axes, (name, columns, logarithmic) in zip(grid, panels, strict=False):
        for column in columns:
            label = column.removeprefix("dice_")
            axes.plot(table["iteration"], table[column], label=label, color=(colours or {}).get(label))
        axes.set(title=name, xlabel="iteration")
        axes.grid(alpha=0.3)
        if logarithmic and (table[columns[0]] > 0).all():
            axes.set_yscale("log")
        if columns is dice:
            axes.legend()
    for iteration in table.loc[table["restores"].diff() > 0, "iteration"]:
        figure.axes[0].axvline(iteration, color="red", linestyle=":")  # the guard went back here
    with replacing(file) as temporary:
        figure.savefig(temporary, dpi=80)


def has_state(rows: Sequence[Mapping[str, float]]) -> bool:
    """Whether the network has a hidden state: a UNet's magnitude is 0 in every epoch."""
    return any(row["hidden_magnitude"] for row in rows)


def versions() -> dict[str, str]:
    """Versions of Python, this package and what computes."""
    found = {"python": sys.version.split()[0], "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def training_record(job: Job, state: TrainingState, finished: bool = False) -> RunRecord:
    """What run.json says: enough to repeat the run and to fill the comparison's columns."""
    options, weights = job.options, job.folder.weights
    earlier = [0, *(int(row["peak_memory_mb"] * 2**20) for row in state.rows)]  # of processes before --continue, too
    return RunRecord(
        finished=finished,
        digest=job.origin.digest,
        split=job.origin.split,
        dataset=job.plans.dataset,
        model=options.model,
        config=job.config.name,
        fold=options.fold,
        command=options.command,
        commit=commit(),
        seed=options.seed,
        iterations=state.iterations,
        planned_iterations=planned_iterations(job, state, finished),
        budget_s=options.budget_s,
        pretrained=str(options.pretrained) if options.pretrained else None,
        training_minutes=state.minutes,
        parameters=count_parameters(state.model),
        peak_memory_bytes=max(peak_memory_bytes(job.device), *earlier),
        seconds_per_iteration=state.rows[-1]["seconds_per_iteration"] if state.rows else None,
        restores=state.guard.restores,
        device=str(job.device),
        threads=torch.get_num_threads(),
        cores=cores(),
        machine=cpu_model(),
        file_bytes=weights.stat().st_size if weights.exists() else None,
        versions=versions(),
    )
