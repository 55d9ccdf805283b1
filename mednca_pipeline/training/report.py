"""What a training leaves behind for people: training.csv, progress.png and run.json."""

import importlib.metadata
import io
import platform
import sys
from pathlib import Path

import pandas as pd

from mednca_runtime.files import replacing, write_text

PACKAGES = ("torch", "numpy", "monai", "batchgenerators", "blosc2", "acvl_utils", "nibabel", "mednca_pipeline")


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
