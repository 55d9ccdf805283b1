"""How long a training lasts unless the user says otherwise."""

import math
from collections.abc import Sequence

from ..models.registry import MODELS
from .rule import Chosen

SMALL_VOXELS, MANY_CASES = {2: 64**2, 3: 48**3}, 500  # larger images or more cases make a training longer
MOST_FACTOR = 3.0
MOST_VIEWS = 300  # of each slice: on breast ultrasound 700 were no better (recipe.md)


def stretch(size: Sequence[int], n_cases: int) -> float:
    """How much longer a training lasts than on few small images: the fourth root of size and cases, at most 3."""
    larger = max(math.prod(size) / SMALL_VOXELS[len(size)], 1.0)
    more = max(n_cases / MANY_CASES, 1.0)
    return min((larger * more) ** 0.25, MOST_FACTOR)


def training_minutes(model: str, size: Sequence[int], n_cases: int) -> dict[str, float]:
    """{"cpu": minutes, "cuda": minutes} of one fold."""
    factor = stretch(size, n_cases)
    return {device: float(round(m * factor)) for device, m in zip(("cpu", "cuda"), MODELS[model].minutes, strict=True)}


def schedule_decision(size: Sequence[int], n_cases: int) -> Chosen[str]:
    minutes = {model: training_minutes(model, size, n_cases) for model in MODELS}
    text = ", ".join(f"{model} {value['cpu']:g}" for model, value in minutes.items())
    factor = stretch(size, n_cases)
    reason = "networks for hippocampus come close to their best on 2 CPU cores in this time"
    if factor > 1:
        reason = f"{factor:.2g} times as long as for hippocampus, for larger images or more cases"
    return Chosen(
        f"{text} min a fold on a CPU",
        f"{reason}; a training ends earlier once it has seen each slice {MOST_VIEWS} times; --budget or --iterations "
        "of mednca_train changes it",
    )
