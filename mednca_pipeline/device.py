"""The device to compute on and its peak memory."""

import sys

import torch

from .runtime.errors import InputError


def choose_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA, else Apple's MPS, else the CPU. Raises InputError for a device that this machine lacks."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    if not available.get(name.split(":")[0], False):
        found = ", ".join(kind for kind, there in available.items() if there)
        raise InputError("--device", f"a device of this machine ({found}), or auto", repr(name))
    return torch.device(name)


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory held so far: by torch's allocator on CUDA, by the whole process otherwise."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
