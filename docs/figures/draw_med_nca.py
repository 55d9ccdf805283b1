"""Draws docs/images/med_nca.png: the levels of a planned Med-NCA, what training and inference see, and the cell's rule.

    python docs/figures/draw_med_nca.py [--plans FILE] [--weights FILE] [--out FILE]

The network is the demo's where that was run (make demo), else one of hippocampus' plan before training. The image is a
phantom that mednca_pipeline.phantom makes: no patient's image goes into the figure.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from mednca_pipeline.models.mednca import MedNCA
from mednca_pipeline.models.prediction import level_states
from mednca_pipeline.models.registry import build_model, read_plans
from mednca_pipeline.models.weights import load_weights
from mednca_pipeline.phantom import SIZE, draw_anatomy, render
from mednca_pipeline.planning.levels import describe_factors
from mednca_pipeline.plans.plans import Plans
from mednca_pipeline.runtime.files import replacing
from mednca_pipeline.runtime.padding import Pad
from mednca_pipeline.runtime.position import position_channels
from mednca_pipeline.runtime.preprocessing import preprocess_image
from mednca_pipeline.runtime.slices import with_adjacent

ROOT = Path(__file__).resolve().parents[2]
PLANS = ROOT / "plans" / "reference" / "Dataset004_Hippocampus" / "plans.json"
TRAINED = ROOT / "mednca_demo" / "results" / "Dataset001_Phantom" / "mednca_2d"  # make demo
SEED = 7
BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#8d99ae"


@dataclass(frozen=True)
class LevelView:
    """A level after its last step, without batch axis: image (H, W), hidden (H, W), foreground probability (H, W).

    box: (top, left, height, width) of what training sees, in cells, or None for the whole grid. aspect: height of a
    cell in widths.
    """

    title: str
    image: np.ndarray
    hidden: np.ndarray
    foreground: np.ndarray
    box: tuple[int, int, int, int] | None
    aspect: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plans", type=Path, help="plans.json (default: the trained model's, else the committed ones)")
    parser.add_argument("--weights", type=Path, default=TRAINED / "fold_0" / "final.safetensors")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "med_nca.png")
    arguments = parser.parse_args()
    trained = arguments.weights.is_file()
    beside = arguments.weights.parent.parent / "plans.json"
    plans = read_plans(arguments.plans or (beside if trained else PLANS))
    torch.manual_seed(SEED)
    model = build_model("mednca", plans, "2d").eval()
    if trained:
        load_weights(arguments.weights, model)
    image, origin = phantom_slice(plans, model)
    views = level_views(model, image, origin)
    figure = draw(plans, views, trained)
    with replacing(arguments.out) as temporary:
        figure.savefig(temporary, dpi=110, facecolor="white", metadata={"Software": None})
    print(f"{arguments.out} ({'trained' if trained else 'randomly initialised'} network)")


def phantom_slice(plans: Plans, model: MedNCA) -> tuple[torch.Tensor, torch.Tensor]:
    """The phantom's slice with most foreground, preprocessed, padded: (1, n_image, H, W); and a patch origin (1, 2)."""
    chosen = plans.config("2d")
    rng = np.random.default_rng(SEED)
    anatomy = draw_anatomy(rng, SIZE)
    array, labels = (_lps(volume) for volume in (render(rng, anatomy, "MRI"), anatomy.labels))
    spacing_mm, order = tuple(anatomy.spacing_mm[::-1]), chosen.preprocessing.axis_order or (0, 1, 2)
    if len(plans.training_range.extent_mm) == 2:  # pictures, as the demo's: their sagittal slice
        most = int((labels > 0).sum(axis=(0, 1)).argmax())
        array, labels, spacing_mm = array[:, :, most], labels[None, :, :, most], spacing_mm[:2]
    image, _ = preprocess_image(array[None].astype(np.float32), spacing_mm, chosen.preprocessing)
    areas = (labels.transpose(order) > 0).sum(axis=(1, 2))
    index = min(round(int(areas.argmax()) * image.shape[1] / len(areas)), image.shape[1] - 1)
    seen = with_adjacent(image, chosen.models["mednca"].adjacent_slices)
    pad = Pad.to(seen.shape[2:], chosen.image_size, model.factor)
    padded = pad.forward(seen[:, [index]])
    if chosen.models["mednca"].position:
        starts = [-index, *pad.starts]
        box = [(-start, side - start) for start, side in zip(starts, padded.shape[1:], strict=True)]
        padded = np.concatenate([padded, position_channels(image.shape[1:], box, chosen.models["mednca"].position)])
    shape, factor = padded.shape[2:], model.factor
    patch = chosen.models["mednca"].levels[-1].patch or shape
    origin = [(side - seen) // 2 // f * f for side, seen, f in zip(shape, patch, factor, strict=True)]
    return torch.from_numpy(np.ascontiguousarray(padded.swapaxes(0, 1))), torch.tensor([origin])


def _lps(volume: np.ndarray) -> np.ndarray:
    """(x, y, z) in RAS order -> (z, y, x) in LPS."""
    return np.ascontiguousarray(volume[::-1, ::-1].T)


@torch.no_grad()
def level_views(model: MedNCA, image: torch.Tensor, origin: torch.Tensor) -> list[LevelView]:
    """Runs inference on the whole image, and one training pass for the windows that training sees."""
    states = (state for (state,) in level_states(model, image, model.plan.outline))
    outputs, _ = model.forward(image, origin, torch.Generator().manual_seed(SEED))
    views = []
    for level, output, (state,) in zip(model.plan.levels, outputs, states, strict=True):
        probability = model.logits(state[None]).softmax(dim=1)[0, 1:].sum(dim=0)
        hidden = state[model.n_image + model.n_outputs :]
        shown = hidden[int(hidden.flatten(1).std(dim=1).argmax())]
        height, width = state.shape[1:]
        title = f"level {describe_factors([level.factor])}: {height} x {width} cells, {level.steps} steps"
        box = None
        if output.window.start is not None and output.window.size != (height, width):
            box = (*output.window.start[0].tolist(), *output.window.size)
        image_here = state[(model.n_image - len(model.plan.position)) // 2].numpy()  # its own slice
        aspect = level.factor[0] / level.factor[1]
        views.append(LevelView(title, image_here, shown.numpy(), probability.numpy(), box, aspect))
    return views


def draw(plans: Plans, views: list[LevelView], trained: bool) -> Figure:
    figure = Figure(figsize=(11, 11.5))
    kind = "a trained network" if trained else "a network before training"
    figure.suptitle(f"Med-NCA with the plan of {plans.dataset}: {kind} on a phantom", fontsize=14, y=0.985)
    top = figure.add_gridspec(3, len(views), left=0.12, right=0.98, top=0.92, bottom=0.36, hspace=0.14, wspace=0.1)
    rows = ("the image\nat this level", "one hidden channel\nnear the last step", "probability\nof foreground")
    for column, view in enumerate(views):
        pictures = ((view.image, "gray", None), (view.hidden, "coolwarm", None), (view.foreground, "viridis", (0, 1)))
        for row, (array, colours, limits) in enumerate(pictures):
            axes = figure.add_subplot(top[row, column])
            low, high = limits or _symmetric(array, colours)
            axes.imshow(array, cmap=colours, vmin=low, vmax=high, interpolation="nearest", aspect=view.aspect)
            axes.set(xticks=[], yticks=[])
            if row == 0:
                axes.set_title(view.title, fontsize=11)
                _mark_window(axes, view.box)
            if column == 0:
                axes.set_ylabel(rows[row], fontsize=11, rotation=0, ha="right", va="center", labelpad=12)
    width = (0.98 - 0.12) / len(views)
    for column in range(1, len(views)):
        moves = "the state is\nupsampled;\nthe image is\nput in anew\n\u2192"
        figure.text(0.12 + width * column, 0.64, moves, ha="center", va="center", fontsize=9)
    caption = "Orange: what training sees of a level. Prediction sees the whole and computes what lies near an outline."
    figure.text(0.55, 0.322, caption, ha="center", color=ORANGE)
    _draw_rule(figure.add_axes((0.02, 0.01, 0.96, 0.28)), plans)
    return figure


def _symmetric(array: np.ndarray, colours: str) -> tuple[float, float]:
    if colours == "gray":
        return tuple(np.percentile(array, [0.5, 99.5]))
    most = float(np.abs(array).max()) or 1.0
    return -most, most


def _mark_window(axes: Axes, box: tuple[int, int, int, int] | None) -> None:
    if box is None:
        axes.set_xlabel("training sees the whole", fontsize=9.5, color=ORANGE, labelpad=2)
        axes.patch.set_visible(True)
        for spine in axes.spines.values():
            spine.set(color=ORANGE, linewidth=3)
        return
    top, left, height, width = box
    axes.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=ORANGE, linewidth=3))
    axes.set_xlabel(f"training sees {height} x {width} cells", fontsize=9.5, color=ORANGE, labelpad=2)


def _draw_rule(axes: Axes, plans: Plans) -> None:
    """The cell's rule as boxes and arrows, with the plan's numbers."""
    plan = plans.config("2d").models["mednca"]
    n_image = plans.input_channels(plan)
    norm = {"layer": "layer norm", "rms": "RMS norm", "none": "no norm"}[plan.norm]
    axes.set(xlim=(0, 100), ylim=(0, 26))
    axes.axis("off")
    axes.text(0, 25, "The rule of one cell, in every step:", fontsize=12, va="top")
    for row in range(3):
        for column in range(3):
            colour = BLUE if (row, column) == (1, 1) else "#cfe0ea"
            axes.add_patch(Rectangle((2 + 3 * column, 8 + 4 * row), 3, 4, facecolor=colour, edgecolor="white"))
    axes.text(6.5, 6.5, f"3 x 3 neighbours,\n{plan.channels} channels each", ha="center", va="top", fontsize=9.5)
    boxes = (
        (16, f"one matrix\n{9 * plan.channels} \u2192 {plan.hidden}"),
        (33, f"{norm}\nover the {plan.hidden}\nof this cell"),
        (50, "ReLU"),
        (63, f"one matrix\n{plan.hidden} \u2192 {plan.channels - n_image}"),
        (80, f"fires?\nprobability {plan.fire_rate:g}"),
    )
    ends = [11.5]
    for left, text in boxes:
        width = 9 if text == "ReLU" else 13
        shape = FancyBboxPatch((left, 10), width, 8, boxstyle="round,pad=0.3", facecolor="white", edgecolor=BLUE)
        axes.add_patch(shape)
        axes.text(left + width / 2, 14, text, ha="center", va="center", fontsize=9.5)
        _arrow(axes, ends[-1], left - 0.3)
        ends.append(left + width + 0.3)
    _arrow(axes, ends[-1], 97)
    axes.text(98.5, 14, "+", fontsize=20, ha="center", va="center", color=BLUE)
    n_position = len(plan.position)
    fixed = f"{n_image - n_position} image and {n_position} position" if n_position else f"{n_image} image"
    labels = f"{fixed} (fixed), {plans.labels.n_outputs} outputs, the rest hidden"
    axes.text(98.8, 6.5, f"added to the cell's state: {labels}", ha="right", va="top", fontsize=9.5)
    said = "A cell reads its neighbours and nothing else. "
    said += f"Prediction is without chance: instead of firing, each cell applies {plan.fire_rate:g} times its update."
    axes.text(50, 1.2, said, ha="center", color=GREY, fontsize=10)


def _arrow(axes: Axes, start: float, end: float) -> None:
    axes.add_patch(FancyArrowPatch((start, 14), (end, 14), arrowstyle="-|>", mutation_scale=12, color=GREY))


if __name__ == "__main__":
    main()
