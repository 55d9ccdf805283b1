"""How a process that computes has its libraries behave. Called before they are imported."""

import contextlib
import ctypes
import logging
import os
import sys
from collections.abc import Iterable

from ..runtime.printing import PrintableFormatter
from .terminal import columns, short_paths, wrapped

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST_KEPT = 2**25  # bytes of an array; the most that glibc allows


def wait_briefly() -> None:
    """Has OpenMP's threads spin for a moment between two pieces of work before they sleep, unless the user chose.

    Without spinning a small network trains at half the speed; with long spinning it crawls beside other work on the
    same cores (`python -m benchmarks.waiting`). OpenMP reads this when torch is first imported: call it before.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def numpy_on_one_thread() -> None:
    """Has NumPy's OpenBLAS compute on one thread, unless the user chose.

    The light NCA multiplies small matrices. A second thread gains little there, and where other work takes a core the
    threads wait for one another: prediction then takes up to ten times as long. OpenBLAS reads the variable when NumPy
    is imported; where that has happened already, threadpoolctl, which comes with torch's extra, says it again.
    """
    if {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"} & set(os.environ):
        return
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if "numpy" in sys.modules:
        with contextlib.suppress(ModuleNotFoundError):
            from threadpoolctl import ThreadpoolController

            ThreadpoolController().select(internal_api="openblas").limit(limits=1)


def keep_freed_memory() -> None:
    """Has glibc keep freed memory for the next allocation instead of giving it back to the system.

    Otherwise every large array is made of fresh pages, which the system first fills with zeros. Arrays of more than
    32 MB, the maps of 3D networks, are given back: kept, they left gaps that cost a third more memory. Elsewhere than
    with glibc it does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def log_to_terminal(packages: Iterable[str], quiet: bool) -> None:
    """Prints what `packages` log; other libraries' chatter stays out, and with `quiet` all but warnings."""
    logging.basicConfig(level=logging.WARNING, force=True)
    for handler in logging.getLogger().handlers:  # of the terminal: a training's log file is as full when it is quiet
        handler.setFormatter(_Wrapping("%(message)s"))
        handler.setLevel(logging.WARNING if quiet else logging.INFO)
    logging.getLogger("nibabel.global").setLevel(logging.ERROR)  # it prints by itself what it corrects in headers
    for package in packages:
        logging.getLogger(package).setLevel(logging.INFO)


class _Wrapping(PrintableFormatter):
    """Messages as wide as the terminal, with paths from the current folder."""

    def format(self, record: logging.LogRecord) -> str:
        return wrapped(short_paths(super().format(record)), columns(sys.stderr))
