"""What every command shares: common options, messages, and the exit code of each kind of failure."""

import argparse
import sys
import traceback
from collections.abc import Callable

from .. import __version__
from ..execution.libraries import keep_freed_memory, log_to_terminal, wait_briefly
from ..runtime.errors import InputError, correctable

DONE, OUR_FAULT, INPUT_FAULT, INTERRUPTED = 0, 1, 2, 130
OUR_PACKAGES = ("mednca_pipeline", "dataset_conversion")


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
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--quiet", action="store_true", help="only warnings and errors")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a fault of the input too")
    return parser


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """The option of commands whose work several machines can share."""
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="of a Dask scheduler whose workers do the work, such as tcp://HOST:8786"
    )


def run_command(parser: argparse.ArgumentParser, action: Callable[[argparse.Namespace], int | None], argv=None) -> int:
    """Parses, runs `action` and turns its outcome into an exit code (`None` counts as done)."""
    arguments = parser.parse_args(argv)
    arguments.argv = argv
    wait_briefly()
    keep_freed_memory()
    log_to_terminal(OUR_PACKAGES, arguments.quiet)
    try:
        return action(arguments) or DONE
    except KeyboardInterrupt as error:
        return _fail(arguments, str(error) or "Interrupted.", INTERRUPTED)
    except Exception as raised:
        error = correctable(raised)
        return (
            _fail(arguments, str(error), INPUT_FAULT) if isinstance(error, InputError) else _our_fault(arguments, error)
        )


def _our_fault(arguments: argparse.Namespace, error: Exception) -> int:
    arguments.debug = True  # the cause, often in a worker and with its case's name, shows in the traceback alone
    message = f"{type(error).__name__}: {error}. This is a fault of ours: please report it with the lines above."
    return _fail(arguments, message, OUR_FAULT)


def _fail(arguments: argparse.Namespace, message: str, code: int) -> int:
    if arguments.debug:
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    return code
