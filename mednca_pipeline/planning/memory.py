"""The memory budget of a training process."""

import re
from collections.abc import Callable

from ..runtime.errors import InputError

DEFAULT_BYTES = 4_000_000_000
PROCESS_BYTES = 750_000_000  # interpreter, libraries, fragmented free memory, and measuring the validation cases

_UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_memory(text: str) -> int:
    """`4GB`, `1.5 GiB`, `800MB` -> bytes. Raises InputError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
    size = float(match[1]) * _UNITS.get(match[2].upper(), 0) if match else 0
    if size <= 0:
        raise InputError("memory", "an amount such as 4GB, 1.5GiB or 800MB", repr(text))
    return int(size)


def available_bytes(memory_bytes: int) -> int:
    """What a budget leaves for the training step itself."""
    return max(memory_bytes - PROCESS_BYTES, 0)


def largest_batch(most: int, memory_bytes: int, step_bytes: Callable[[int], int]) -> int:
    """`most`, halved until a step fits what the budget leaves. At least 1, even if that does not fit."""
    batch = most
    while batch > 1 and step_bytes(batch) > available_bytes(memory_bytes):
        batch //= 2
    return batch
