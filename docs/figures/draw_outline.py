"""Draws docs/images/outline.png: which cells of each level prediction computes, and the time that this saves.

    OPENBLAS_NUM_THREADS=1 python docs/figures/draw_outline.py [--root FOLDER] [--out FILE]

The network is mednca with the plan of 2D phantoms (mednca_pipeline.phantom), trained on fold 0 for 300 iterations. The
image is a phantom that training has not seen: no patient's image goes into the figure. What FOLDER has of this already
is used again.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from mednca_pipeline.cli import plan_and_preprocess, train
from mednca_pipeline.inference.light import LightNetwork
from mednca_pipeline.models.registry import read_plans
from mednca_pipeline.phantom import write_phantom_dataset
from mednca_pipeline.planning.levels import describe_factors
from mednca_pipeline.runtime.files import replacing
from mednca_pipeline.runtime.images import read_image
from mednca_pipeline.runtime.light_nca import level_by_level
from mednca_pipeline.runtime.outline import Outline
from mednca_pipeline.runtime.preprocessing import preprocess_image
from mednca_pipeline.runtime.weights import read_weights

ROOT = Path(__file__).resolve().parents[2]
DATASET = "Dataset001_Phantom"
CASES, SIZE = 8, (144, 144)
ROUNDS = 25
COLUMNS = 3
BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#8d99ae"


@dataclass(frozen=True)
class LevelView:
    """A level of one 2D image after its last step: arrays (H, W). computed: bool. foreground: probability."""

    title: str
    image: np.ndarray
    computed: np.ndarray
    foreground: np.ndarray


@dataclass(frozen=True)
class Timing:
    """Milliseconds of each level, coarsest first: the shortest of several rounds, which others disturbed least."""

    everywhere: np.ndarray
    outline: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT / "mednca_demo" / "outline", help="workspace to train in")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "outline.png")
    arguments = parser.parse_args()
    weights, picture = trained(arguments.root)
    plans = read_plans(weights.parent.parent / "plans.json")
    network = LightNetwork(read_weights(weights), plans, "2d", plans.config("2d").models["mednca"])
    scan = read_image([picture])
    image, _ = preprocess_image(scan.array, scan.spacing_mm, plans.config("2d").preprocessing)
    figure = draw(level_views(network, image), timing(network, image))
    with replacing(arguments.out) as temporary:
        figure.savefig(temporary, dpi=110, facecolor="white", metadata={"Software": None})
    print(arguments.out)


def trained(root: Path) -> tuple[Path, Path]:
    """The weights of fold 0, trained in the workspace `root` if they are not there, and an unseen picture."""
    raw, place = root / "raw" / DATASET, ["--root", str(root), "-np", "0"]
    if not (raw / "dataset.json").is_file():
        write_phantom_dataset(raw, CASES, 1, size=SIZE)
    weights = root / "results" / DATASET / "mednca_2d" / "fold_0" / "final.safetensors"
    if not weights.is_file():
        plan_and_preprocess.main(["-d", "1", "--spacing", "1", *place])  # at full resolution, as thin structures are
        if code := train.main(["1", "0", "--iterations", "300", *place]):
            sys.exit(code)
    return weights, next((raw / "imagesTs").glob("*.png"))


def level_views(network: LightNetwork, image: np.ndarray) -> list[LevelView]:
    """image: (C, 1, H, W), preprocessed."""
    (seen,) = network.see(image)
    views, rows = [], 0
    for level, pictures, outcome in zip(
        network.plan.levels, seen.levels, level_by_level(network.nca, seen.levels, network.plan.outline), strict=True
    ):
        steps, grid = level.steps, pictures.grid
        shown = pictures.cells[:, 0].reshape(grid.padded_shape)[0, 1:-1, 1:-1]
        computed = outcome.pointer[0] >= rows  # a computed cell has a row that this level has added
        rows = len(outcome.states[0])
        height, width = computed.shape
        title = f"{describe_factors([level.factor])}: {height} x {width} cells, {steps} steps\n"
        title += f"{outcome.computed[-1]:.0%} computed"
        views.append(LevelView(title, shown, computed, 1 - outcome.probabilities()[0, 0]))
    return views


def timing(network: LightNetwork, image: np.ndarray, rounds: int = ROUNDS) -> Timing:
    """Both ways in turn. What each level sees of the image is made beforehand and not timed."""
    (seen,) = network.see(image)
    outlines: dict[str, Outline | None] = {"everywhere": None, "outline": network.plan.outline}
    found: dict[str, list[np.ndarray]] = {name: [] for name in outlines}
    for _ in range(rounds):
        for name, outline in outlines.items():
            marks = [time.perf_counter()]
            marks += [time.perf_counter() for _ in level_by_level(network.nca, seen.levels, outline)]
            found[name].append(1000 * np.diff(marks))
    return Timing(**{name: np.min(values, axis=0) for name, values in found.items()})


def draw(views: list[LevelView], took: Timing) -> Figure:
    rows = len(views) // COLUMNS + 1
    figure = Figure(figsize=(4 * COLUMNS, 4.4 * rows), layout="constrained")
    grid = figure.add_gridspec(rows, COLUMNS)
    figure.suptitle("Which cells each level computes: a phantom that training has not seen", fontsize=14)
    for index, view in enumerate(views):
        _show(figure.add_subplot(grid[divmod(index, COLUMNS)]), view)
    _bars(figure.add_subplot(grid[divmod(len(views), COLUMNS)]), [view.title.split(":")[0] for view in views], took)
    return figure


def _show(axes: Axes, view: LevelView) -> None:
    low, high = np.percentile(view.image, [0.5, 99.5])
    axes.imshow(view.image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    tint = np.zeros((*view.computed.shape, 4))
    tint[..., :3], tint[..., 3] = to_rgb(ORANGE), 0.42 * view.computed
    axes.imshow(tint, interpolation="nearest")
    axes.contour(view.foreground, [0.5], colors=[BLUE], linewidths=2)
    axes.set(xticks=[], yticks=[])
    axes.set_title(view.title, fontsize=11)


def _bars(axes: Axes, names: list[str], took: Timing) -> None:
    """Milliseconds of each level and of all together."""
    names = [*names, "all"]
    for shift, label, colour, values in (
        (-0.2, "every cell", GREY, took.everywhere),
        (0.2, "at the outline", ORANGE, took.outline),
    ):
        values = [*values, values.sum()]
        bars = axes.barh(np.arange(len(names)) + shift, values, 0.38, color=colour, label=label)
        axes.bar_label(bars, [f"{value:.1f}" for value in values], padding=3, fontsize=9)
    axes.set_yticks(np.arange(len(names)), names, fontsize=11)
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds of the network, one image")
    axes.set_xmargin(0.2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("Where the time goes", fontsize=11)
    axes.legend(frameon=False, loc="upper right")


if __name__ == "__main__":
    main()
