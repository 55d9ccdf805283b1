"""How long a training lasts and how its learning rate falls."""

import math
import re

from ..runtime.errors import InputError

_UNITS = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600}
N_TIMED, N_WARMUP = 20, 5
FIGURE_EVERY = 5  # epochs


def parse_budget(text: str) -> float:
    """`90s`, `20min`, `1.5h` -> seconds. Raises InputError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text.lower())
    if not match or match[2] not in _UNITS or float(match[1]) <= 0:
        raise InputError("--budget", "a time such as 90s, 20min or 1.5h", repr(text))
    return float(match[1]) * _UNITS[match[2]]


def epoch_length(iterations: int) -> int:
    """Iterations of an epoch: a hundredth of the training, but 10 at least where that leaves 20 epochs.

    Each epoch has a row, a score on whole images and a checkpoint, which cost as much as some iterations.
    """
    return max(1, math.ceil(iterations / 100), min(10, iterations // 20))


def training_s(iterations: int, seconds_per_iteration: float, seconds_per_epoch_end: float) -> float:
    """Seconds of a training with the ends of its epochs."""
    ends = math.ceil(iterations / epoch_length(iterations))
    return iterations * seconds_per_iteration + ends * seconds_per_epoch_end


def iterations_for(budget_s: float, seconds_per_iteration: float, seconds_per_epoch_end: float) -> int:
    """The most iterations that fit a budget, the ends of their epochs included; at least 20."""

    def fits(iterations: int) -> bool:
        return training_s(iterations, seconds_per_iteration, seconds_per_epoch_end) <= budget_s

    fewest, most = 20, min(10**7, max(20, int(budget_s / seconds_per_iteration)))
    while fewest < most:
        middle = (fewest + most + 1) // 2
        fewest, most = (middle, most) if fits(middle) else (fewest, middle - 1)
    return fewest


def until_seen(iterations: int, most_views: int, images: int, batch_size: int) -> int:
    """`iterations`, or as many as show each training image `most_views` times on average. most_views: 0: no limit."""
    if not most_views:
        return iterations
    return min(iterations, max(1, math.ceil(most_views * images / batch_size)))


def cosine(iteration: int, iterations: int) -> float:
    """Share of the base learning rate: from 1 at the first iteration towards 0 after the last."""
    return 0.5 * (1 + math.cos(math.pi * min(iteration / iterations, 1.0)))
