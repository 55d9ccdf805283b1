"""The comparison's box plot: one panel per class, one box per model, a line per case from model to model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.colours import Colour, model_colour
from ..runtime.files import replacing
from .collect import ModelResults
from .comparison import LEAST_SHARE, class_names, class_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINE_COLOUR, _NO_CLASS = "#888888", "black"


def comparison_figure(
    path: Path, dataset: str, models: Sequence[ModelResults], colours: Mapping[str, Colour] | None = None
) -> None:
    """Writes the box plot of Dice over cases as PNG. A case that a model lacks interrupts its line.

    colours: of the classes, by name, for the panels' titles.
    """
    from matplotlib.figure import Figure

    classes = class_names(models) or ["foreground"]
    width = max(3.0, 1.2 * len(models) + 1.2)
    figure = Figure(figsize=(width * len(classes), 4.2), layout="constrained")
    axes = figure.subplots(1, len(classes), sharey=True, squeeze=False)[0]
    for axis, name in zip(axes, classes, strict=True):
        _class_panel(axis, name, (colours or {}).get(name, _NO_CLASS), models)
    axes[0].set_ylabel("Dice per case")
    figure.suptitle(f"{dataset}: out-of-fold cases")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130)


def _class_panel(axis: "Axes", name: str, title_colour: Colour | str, models: Sequence[ModelResults]) -> None:
    values = [class_values(results.cases, name, "dice") for results in models]
    cases = sorted(set().union(*values)) if values else []
    table = np.array([[side.get(case, np.nan) for case in cases] for side in values])  # (models, cases)
    positions = np.arange(1, len(models) + 1)
    if cases:
        alpha = float(np.clip(20 / len(cases), 0.05, 0.5))
        axis.plot(positions, table, color=_LINE_COLOUR, alpha=alpha, linewidth=0.7, marker=".", markersize=3)
        boxes = [row[~np.isnan(row)] for row in table]
        for position, box, results in zip(positions, boxes, models, strict=True):
            colour = model_colour(results.name)
            axis.boxplot(
                [box],
                positions=[position],
                widths=0.45,
                showfliers=False,
                boxprops={"color": colour, "linewidth": 1.5},
                medianprops={"color": colour, "linewidth": 2},
            )
    labels = [
        results.name.replace(" + ", " +\n")
        + (f"\n({len(results.folds)} of {len(results.expected)} folds)" if results.missing else "")
        + (f"\n({each.percent} of its schedule)" if (each := results.schedule) and each.share < LEAST_SHARE else "")
        for results in models
    ]
    axis.set_xticks(positions, labels, fontsize=8)
    axis.set_title(name, color=title_colour, fontweight="bold")
    axis.grid(axis="y", alpha=0.3)
