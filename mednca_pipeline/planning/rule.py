"""What every planner rule returns."""

import math
from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")


class Chosen(NamedTuple, Generic[Value]):
    """A value and the sentence that says why."""

    value: Value
    because: str


def times(sizes: Iterable[float]) -> str:
    """(24, 24) -> "24x24"."""
    return "x".join(f"{size:g}" for size in sizes)


def power_of_two_below(value: float) -> int:
    """The largest power of two that is not above `value`; 1 for values below 2."""
    power = 1
    while power * 2 <= value:
        power *= 2
    return power


def round_up(size: float, multiple: int) -> int:
    """The smallest positive multiple of `multiple` that is not below `size`."""
    return max(1, math.ceil(size / multiple)) * multiple
