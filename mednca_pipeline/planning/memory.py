"""The memory budget of a training process."""

from collections.abc import Callable

DEFAULT_BYTES = 4_000_000_000
PROCESS_BYTES = 750_000_000  # interpreter, libraries, fragmented free memory, and measuring the validation cases


def available_bytes(memory_bytes: int) -> int:
    """What a budget leaves for the training step itself."""
    return max(memory_bytes - PROCESS_BYTES, 0)


def largest_batch(most: int, memory_bytes: int, step_bytes: Callable[[int], int]) -> int:
    """`most`, halved until a step fits what the budget leaves. At least 1, even if that does not fit."""
    batch = most
    while batch > 1 and step_bytes(batch) > available_bytes(memory_bytes):
        batch //= 2
    return batch
