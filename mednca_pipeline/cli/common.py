"""What every command shares: common options, messages, and the exit code of each kind of failure."""

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable

from mednca_runtime.errors import InputError

DONE, OUR_FAULT, INPUT_FAULT = 0, 1, 2


def command_parser(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    """A parser with the options of every command (--root, --quiet, --debug) and its examples below the help."""
    parser = argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog=f"examples:\n{examples}\n\nexit codes: 0 done, 1 a fault of mednca_pipeline, 2 a fault of the input",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--root", help="workspace with raw/, plans/, preprocessed/, results/ (default: $MEDNCA_ROOT or .)"
    )
    parser.add_argument("--quiet", action="store_true", help="only warnings and errors")
    parser.add_argument("--debug", action="store_true", help="show the traceback of any error")
    return parser


def run_command(parser: argparse.ArgumentParser, action: Callable[[argparse.Namespace], int | None], argv=None) -> int:
    """Parses, runs `action` and turns its outcome into an exit code (`None` counts as done)."""
    arguments = parser.parse_args(argv)
    arguments.argv = argv
    # Threads that wait by spinning make a training up to eight times slower beside any other work on the same cores,
    # such as its own augmentation. OpenMP reads this when torch is first imported, which is later than here.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.WARNING if arguments.quiet else logging.INFO, format="%(message)s", force=True)
    try:
        return action(arguments) or DONE
    except InputError as error:
        return _fail(arguments, str(error), INPUT_FAULT)
    except KeyboardInterrupt:
        return _fail(arguments, "Interrupted.", 130)
    except Exception as error:
        if not arguments.debug:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{frame.filename}:{frame.lineno}"
            message = (
                f"{type(error).__name__}: {error} ({where}). This is a fault of ours; --debug shows the traceback."
            )
            return _fail(arguments, message, OUR_FAULT)
        return _fail(arguments, str(error), OUR_FAULT)


def _fail(arguments: argparse.Namespace, message: str, code: int) -> int:
    if arguments.debug:
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    return code
