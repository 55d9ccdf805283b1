"""How long a training lasts unless the user says otherwise."""

import math
from collections.abc import Sequence

from .rule import Chosen

MINUTES = {  # per fold: 2 CPU cores, and a CUDA GPU; for hippocampus-size images
    "mednca": (20, 10),
    "mednca_paper": (30, 15),
    "unet_small": (6, 4),
    "unet": (30, 15),
}
SMALL_VOXELS = {2: 64**2, 3: 48**3}  # up to this size, and to this number of cases, a training needs no longer
MANY_CASES = 500
MOST_FACTOR = 3.0
MOST_VIEWS = 300  # of each slice: on 80 breast ultrasounds 320 were better than 700 (recipe.md)


def stretch(size: Sequence[int], n_cases: int) -> float:
    """How much longer than for a small dataset of small images: a fourth root of size and of cases, 3 at most."""
    larger = max(math.prod(size) / SMALL_VOXELS[len(size)], 1.0)
    more = max(n_cases / MANY_CASES, 1.0)
    return min((larger * more) ** 0.25, MOST_FACTOR)


def training_minutes(model: str, size: Sequence[int], n_cases: int) -> dict[str, float]:
    """{"cpu": minutes, "cuda": minutes} of one fold."""
    factor = stretch(size, n_cases)
    return {device: float(round(m * factor)) for device, m in zip(("cpu", "cuda"), MINUTES[model], strict=True)}


def schedule_decision(size: Sequence[int], n_cases: int) -> Chosen:
    minutes = {model: training_minutes(model, size, n_cases) for model in MINUTES}
    text = ", ".join(f"{model} {value['cpu']:g}" for model, value in minutes.items())
    factor = stretch(size, n_cases)
    reason = "what brings hippocampus close to its best on 2 CPU cores"
    if factor > 1:
        reason += f", times {factor:.2g} for larger images or more cases"
    return Chosen(
        f"{text} min a fold on a CPU",
        f"{reason}; less where each slice has been seen {MOST_VIEWS} times, since few slices are overfit; --budget "
        "or --iterations of mednca_train changes it",
    )
