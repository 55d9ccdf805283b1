"""Progress of work on the terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..runtime.printing import printable


def progress_bar(quiet: bool = False) -> Progress:
    """A bar with count and times, shown on terminals only."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )


@contextmanager
def counting(what: str, total: int, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Shows a bar, and gives the function to call with the name of each of `total` pieces of work as it ends."""
    with progress_bar(quiet) as bar:
        task = bar.add_task(printable(what), total=total)
        yield lambda name: bar.advance(task)
