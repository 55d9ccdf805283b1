"""Amounts of memory: as users write them, what this machine has free, and what an image will take."""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

from .errors import InputError
from .units import voxel_unit

_UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_FLOAT_BYTES = 4
_CGROUP = Path("/sys/fs/cgroup")


def parse_memory(text: str) -> int:
    """`4GB`, `1.5 GiB`, `800MB` -> bytes. Raises InputError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
    size = float(match[1]) * _UNITS.get(match[2].upper(), 0) if match else 0
    if size <= 0:
        raise InputError("memory", "an amount such as 4GB, 1.5GiB or 800MB", repr(text))
    return int(size)


def free_memory_bytes() -> int | None:
    """What this process may still take: of the machine and of its container; None where nobody says so."""
    amounts = [amount for amount in (_free_of_machine(), _free_of_container()) if amount is not None]
    return min(amounts, default=None)


def check_memory(
    channels: int, shape: Sequence[int], on_grid: Sequence[int], outputs: int = 0, memory_bytes: int | None = None
) -> None:
    """Raises InputError for an image that would take more memory than there is, before anything is allocated.

    channels, shape: of the image as read. on_grid: its shape after resampling. outputs: probability maps of a network,
    which are there as well. memory_bytes: what it may take; None: what is free. The estimate is what is needed at
    least: the arrays themselves in float32.
    """
    limit = free_memory_bytes() if memory_bytes is None else memory_bytes
    read, grid = math.prod(map(int, shape)), math.prod(map(int, on_grid))
    needed = _FLOAT_BYTES * (channels * read + (channels + outputs) * grid + (read if outputs else 0))
    if limit is None or needed <= limit:
        return
    which = "as is free" if memory_bytes is None else "as given"
    becomes = f" that become {_sides(on_grid)} after resampling" if grid > read else ""
    raise InputError(
        "",
        f"an image that needs at most {_amount(limit)} of memory, {which}",
        f"{_sides(shape)} {voxel_unit(len(shape))}{becomes}, which need {_amount(needed)} or more",
        "Check the spacing in its header, and --spacing if you chose it. If they are right, give more with --memory, "
        "crop the image, or use a machine with more memory.",
    )


def _sides(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _amount(number: float) -> str:
    return f"{number / 1e9:,.3g} GB" if number >= 1e9 else f"{number / 1e6:,.3g} MB"


def _free_of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return None


def _free_of_container() -> int | None:
    """Of a control group (version 2) with a limit. Memory of cached files is given back and does not count."""
    try:
        limit, used = (int((_CGROUP / f"memory.{name}").read_text(encoding="ascii")) for name in ("max", "current"))
        lines = (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):  # "max": no limit
        return None
    cached = sum(int(line.split()[1]) for line in lines if line.split()[0] in ("inactive_file", "active_file"))
    return max(0, limit - used + cached)
