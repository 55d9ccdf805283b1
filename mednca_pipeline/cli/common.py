"""What every command shares: common options, messages, and the exit code of each kind of failure."""

import argparse
import ctypes
import logging
import os
import sys
import traceback
from collections.abc import Callable

from ..runtime.errors import InputError, of_environment

DONE, OUR_FAULT, INPUT_FAULT, INTERRUPTED = 0, 1, 2, 130
OUR_PACKAGES = ("mednca_pipeline", "dataset_conversion")
EXTRAS = {"distributed": "cluster", "dask": "cluster"}  # import name -> the extra that brings it; all others: train
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST_KEPT = 2**25  # bytes of an array; the most that glibc allows


def command_parser(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    """A parser with the options of every command (--root, --quiet, --debug) and its examples below the help."""
    parser = argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog=f"examples:\n{examples}\n\nexit codes: 0 done, 1 a fault of mednca_pipeline, 2 a fault of the input or "
        "the environment, 130 interrupted",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--root", help="workspace with raw/, plans/, preprocessed/, results/ (default: $MEDNCA_ROOT or .)"
    )
    parser.add_argument("--quiet", action="store_true", help="only warnings and errors")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a fault of the input too")
    return parser


def run_command(parser: argparse.ArgumentParser, action: Callable[[argparse.Namespace], int | None], argv=None) -> int:
    """Parses, runs `action` and turns its outcome into an exit code (`None` counts as done)."""
    arguments = parser.parse_args(argv)
    arguments.argv = argv
    wait_briefly()
    keep_freed_memory()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    for handler in logging.getLogger().handlers:  # of the terminal: a training's log file is as full when it is quiet
        handler.setLevel(logging.WARNING if arguments.quiet else logging.INFO)
    for package in OUR_PACKAGES:  # other libraries' chatter stays out
        logging.getLogger(package).setLevel(logging.INFO)
    try:
        return action(arguments) or DONE
    except InputError as error:
        return _fail(arguments, str(error), INPUT_FAULT)
    except OSError as error:
        return _fail(arguments, str(of_environment(error)), INPUT_FAULT)
    except KeyboardInterrupt as error:
        return _fail(arguments, str(error) or "Interrupted.", INTERRUPTED)
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing in ("", *OUR_PACKAGES):
            return _our_fault(arguments, error)
        extra = EXTRAS.get(missing, "train")
        message = f'{parser.prog} needs {missing}, which is not installed: pip install "mednca_pipeline[{extra}]"'
        return _fail(arguments, message, INPUT_FAULT)
    except Exception as error:
        return _our_fault(arguments, error)


def wait_briefly() -> None:
    """Has OpenMP's threads spin for a moment between two pieces of work before they sleep, unless the user chose.

    Without spinning a small network trains at half the speed; with long spinning it crawls beside other work on the
    same cores (`python -m benchmarks.waiting`). OpenMP reads this when torch is first imported: call it before.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


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


def _our_fault(arguments: argparse.Namespace, error: Exception) -> int:
    arguments.debug = True  # the cause, often in a worker and with its case's name, shows in the traceback alone
    message = f"{type(error).__name__}: {error}. This is a fault of ours: please report it with the lines above."
    return _fail(arguments, message, OUR_FAULT)


def _fail(arguments: argparse.Namespace, message: str, code: int) -> int:
    if arguments.debug:
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    return code
