"""Text on the terminal: wrapped between words to its width. In a file or a pipe a message stays one line.

COLUMNS decides the width wherever it is set, as for argparse and rich.
"""

import os
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ..runtime.printing import LINES, printable

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 160  # columns of tables with sentences where the output is no terminal
_NARROWEST = 20


def columns(stream: TextIO | None = None) -> int | None:
    """The width that messages to `stream` (default: stdout) must have; None where lines may be as long as they are."""
    stream = stream or sys.stdout
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked):
        return max(int(asked), _NARROWEST)
    try:
        return max(os.get_terminal_size(stream.fileno()).columns, _NARROWEST) if stream.isatty() else None
    except (OSError, ValueError):
        return None


def wrapped(text: str, width: int | None, indent: str = "  ") -> str:
    """`text` with no line longer than `width`. A longer word, such as a path, has a line of its own and stays whole.

    indent: of the lines that continue another.
    """
    if width is None:
        return text
    return "\n".join(_filled(line, width, indent) for line in text.split("\n"))


def say(text: str, stream: TextIO | None = None) -> None:
    """Prints a message to `stream` (default: stdout); names of files and cases in it are made printable."""
    print(wrapped(short_paths(printable(text, keep=LINES)), columns(stream)), file=stream or sys.stdout, flush=True)


def shown(path: Path | str) -> str:
    """A path as a person would type it here: relative where it lies below the current folder."""
    path = Path(path)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) and path != here else str(path)


def short_paths(text: str) -> str:
    """A message whose paths are as `shown` writes them: without the current folder where they lie below it."""
    here = str(Path.cwd())
    return re.sub(rf"(?<![^\s'\"(=]){re.escape(here)}{re.escape(os.sep)}(?=\S)", "", text) if here != os.sep else text


def duration(seconds: float) -> str:
    """ "0.4 s", "40 s", "9.1 min", "12 min" or "1 h 45 min"."""
    if seconds < 1:
        return f"{seconds:.1g} s" if seconds >= 0.1 else "0.1 s"
    if seconds < 59.5:
        return f"{round(seconds)} s"
    if seconds < 597:
        return f"{seconds / 60:.1f} min".replace(".0 ", " ")
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def wide_console() -> "Console":
    """For tables with sentences: as wide as the terminal or COLUMNS says, else wide enough."""
    from rich.console import Console

    return Console(width=columns() or _WIDE, highlight=False)


def _filled(line: str, width: int, indent: str) -> str:
    if len(line) <= width:
        return line
    start = line[: len(line) - len(line.lstrip())]
    parts = textwrap.wrap(
        line,
        width,
        subsequent_indent=start + indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
    return "\n".join(parts)
