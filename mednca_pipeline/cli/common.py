"""What every command shares: common options, messages, and the exit code of each kind of failure."""

import argparse
import contextlib
import io
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from .. import __version__
from ..execution.libraries import keep_freed_memory, log_to_terminal, numpy_on_one_thread, wait_briefly
from ..execution.signals import DONE, INPUT_FAULT, OUR_FAULT, exit_code, stopped_by_signals
from ..execution.terminal import columns, say, wrapped
from ..runtime.errors import InputError, correctable

OUR_PACKAGES = ("mednca_pipeline", "dataset_conversion")
NOBODY_READS = 141  # as of a program that SIGPIPE ends
EXIT_CODES = (
    "exit codes: 0 done; 1 a fault of mednca_pipeline; 2 a fault of the input or the environment; 130, 143 and 129 "
    "stopped by Ctrl-C, SIGTERM and SIGHUP"
)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Names what an option takes once: "-m, --model MODEL"."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        taken = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {taken}"


def command_parser(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    """A parser with the options of every command (--root, --quiet, --debug) and its examples below the help."""
    parser = argparse.ArgumentParser(
        prog=name,
        usage=None if _help_width() >= 70 else "%(prog)s [options]",  # argparse breaks its usage at no word
        description=wrapped(description, _help_width(), indent=""),
        epilog=f"examples:\n{_fitting(examples)}\n\n{wrapped(EXIT_CODES, _help_width())}",
        formatter_class=_Help,
    )
    parser.add_argument(
        "--root",
        help="workspace folder, which holds raw/, plans/, preprocessed/ and results/ (default: $MEDNCA_ROOT or .)",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--quiet", action="store_true", help="print only warnings and errors")
    parser.add_argument("--debug", action="store_true", help="also show tracebacks of faults of the input")
    return parser


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """The option of commands whose work several machines can share."""
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="address of a Dask scheduler whose workers do the work: tcp://HOST:8786"
    )


def run_command(
    parser: argparse.ArgumentParser, action: Callable[[argparse.Namespace], int | None], argv: list[str] | None = None
) -> int:
    """Parses, runs `action` and turns its outcome into an exit code (`None` counts as done).

    The action finds the words of the command line in `arguments.command`.
    """
    arguments = parser.parse_args(argv)
    arguments.command = [parser.prog, *(sys.argv[1:] if argv is None else argv)]
    for stream in (sys.stdout, sys.stderr):  # names of files may hold what is not UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    wait_briefly()
    numpy_on_one_thread()
    keep_freed_memory()
    log_to_terminal(OUR_PACKAGES, arguments.quiet)
    try:
        with stopped_by_signals():
            return action(arguments) or DONE
    except KeyboardInterrupt as interrupt:
        with contextlib.suppress(OSError):  # after SIGHUP there may be no terminal any more
            print_error(interrupt, str(interrupt) or "Interrupted.", arguments.debug)
        return exit_code(interrupt)
    except BrokenPipeError:  # what reads the output has enough, such as head
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        return NOBODY_READS
    except Exception as raised:
        error = correctable(raised)
        if isinstance(error, InputError):
            print_error(raised, str(error), arguments.debug)
            return INPUT_FAULT
        message = f"{type(error).__name__}: {error}. This is a fault of ours: please report it with the lines above."
        print_error(raised, message, with_traceback=True)  # it alone shows the cause, often of a case in a worker
        return OUR_FAULT


def check_there(flag: str, path: Path, what: str) -> None:
    """Raises InputError when there is nothing at `path`. Called before anything slow is imported."""
    if not path.exists():
        raise InputError(f"{flag} {path}", what, "nothing there", "Check the path.")


def check_own_json(flag: str, path: Path, keys: set[str]) -> None:
    """Raises InputError for a file that is there and is no JSON object with these keys: a command did not write it."""
    if not os.path.lexists(path):
        return
    found: object = None
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not keys <= set(found):
        expected = "a new file, or one of this command"
        raise InputError(f"{flag} {path}", expected, "a file of something else", "Give another name.")


def check_own_table(path: Path) -> None:
    """Raises InputError for a file that is there and is no table of cases: mednca_evaluate did not write it."""
    if not os.path.lexists(path):
        return
    found = ""
    with contextlib.suppress(OSError, ValueError), path.open(encoding="utf-8") as file:
        found = file.readline(200)
    if not found.startswith("case,class,dice,"):
        remedy = "Move it away, or give another name with -o."
        raise InputError(path, "no such file, or a table of mednca_evaluate", "a file of something else", remedy)


def print_error(error: BaseException, message: str, with_traceback: bool) -> None:
    if with_traceback:
        traceback.print_exception(error)
    say(f"error: {message}", sys.stderr)


def _help_width() -> int:
    return columns() or 80


def _fitting(examples: str) -> str:
    """Examples ("command      what it does") with what they do on a line below where both are too long for one."""
    lines = []
    for line in examples.split("\n"):
        command, _, meaning = line.strip().partition("   ")
        short = f"  {command}   {meaning.strip()}"
        if len(line) <= _help_width() or not meaning:
            lines.append(wrapped(line, _help_width(), indent="    "))
        elif len(short) <= _help_width():
            lines.append(short)
        else:
            lines += [
                wrapped(f"  {command}", _help_width(), "    "),
                wrapped(f"      {meaning.strip()}", _help_width(), ""),
            ]
    return "\n".join(lines)
