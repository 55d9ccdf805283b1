"""The plan of a dataset in a dozen lines: what the data are, what matters, and how to go on."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..execution.terminal import columns, duration, shown, wrapped
from ..runtime.listing import counted

if TYPE_CHECKING:
    from ..datasets.dataset import Dataset
    from ..planning.run import Planned
    from ..plans.plans import ConfigPlan, Decision
    from ..training.expected import Expected

_HEAD = 12  # columns of the names of the lines
_MOST_NAMES = 4


def print_summary(lines: "Sequence[tuple[str, str]]") -> None:
    """Prints (name, text) as two columns; on narrow terminals the text of a line goes on below itself."""
    width = columns()
    for name, text in lines:
        head = f"{name:{_HEAD}}" if name else ""
        indent = " " * _HEAD if width is None or width >= 60 else "  "
        print(wrapped(f"{head}{text}", width, indent))


def summary_lines(
    dataset: "Dataset", planned: "Planned", files: "tuple[Path, Path]", preprocessed: str
) -> list[tuple[str, str]]:
    """What was decided. files: splits.json and explained.md. preprocessed: a sentence on the stored cases."""
    plans = planned.plans
    assert plans is not None  # the check found nothing fatal
    config = plans.config(start_config(planned))
    told = {made.name: made for made in plans.decisions if made.config in ("all", config.name)}
    yours = ", ".join(dict.fromkeys(made.name for made in plans.decisions if made.by_user))
    image = "picture" if plans.dimensions == 2 else "volume"
    sizes = sorted({len(fold.val) for fold in planned.folds})
    each = "-".join(map(str, dict.fromkeys((sizes[0], sizes[-1])))) if sizes else "0"
    validated = f"{each} validation {'case' if each == '1' else 'cases'}"
    lines = [
        (
            "data",
            f"{counted(len(dataset.training), image)} ({_named(plans.channel_names)}); {_named(plans.labels.names)}",
        ),
        ("network", _network(config, told)),
        ("grid", _grid(config, told)),
        ("components", told["components"].value),
        (
            "folds",
            f"{len(planned.folds)}, each with {validated}: {shown(files[0])}",
        ),
        ("stored", preprocessed),
    ]
    if yours:
        lines.append(("yours", yours))
    lines += [("note", note) for note in planned.notes]
    lines.append(("reasons", f"{shown(files[1])}, or --explain"))
    return lines


def next_lines(dataset: str, planned: "Planned", times: "Sequence[Expected]") -> list[tuple[str, str]]:
    """What to do next, and how long that takes. times: of each model that is compared, the first to start with."""
    if not times:
        return []
    number = re.sub(r"^Dataset0*(\d+)_.*", r"\1", dataset)
    first, folds = times[0], len(planned.folds)
    assert planned.plans is not None
    option = "" if first.config == planned.plans.default_config else f" --config {first.config}"
    model = "" if first.model == "mednca" else f" --model {first.model}"
    device = {"cpu": "CPU", "cuda": "GPU"}.get(first.device, first.device)
    each = ", ".join(f"{each.model} {duration(each.fold_s * folds)}" for each in times)
    parts = f"{duration(first.training_s)} training, up to {duration(first.validation_s)} validation"
    compare = f"mednca_crossval {number}{option}"
    return [
        ("start with", f"{first.model} in {first.config}: mednca_train {number} fold0{model}{option} ({parts})"),
        (
            counted(folds, "fold"),
            f"{each}, with validation, as measured on this {device}: {compare}",
        ),
    ]


def start_config(planned: "Planned") -> str:
    """The configuration to start with: the plan's default if it is preprocessed."""
    plans = planned.plans
    assert plans is not None
    return plans.default_config if plans.default_config in planned.configs else planned.configs[0]


def _network(config: "ConfigPlan", told: "dict[str, Decision]") -> str:
    value = {name: made.value for name, made in told.items()}
    seen = f", {value['adjacent slices']}" if "adjacent slices" in value else ""
    slices = f" of {value['slices']} slices" if "slices" in value else ""
    cell = f"levels {value['levels']} with {value['steps']} steps; position {value['position']}"
    return f"{config.name}{slices}{seen}; {cell}"


def _grid(config: "ConfigPlan", told: "dict[str, Decision]") -> str:
    value = {name: made.value for name, made in told.items()}
    return f"{value['image size']} at {value['target spacing']}, intensities {value['normalisation']}"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
