"""Progress of work: a bar on a terminal, a log line now and then elsewhere."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from ..runtime.printing import printable

log = logging.getLogger(__name__)
INTERVAL_S = 10.0  # between two lines where the output is no terminal
_WIDTH_OF_OTHERS = 52  # columns of everything but the bar


class StatusProgress(Progress):
    """A bar for each task, and `status` as a line of text below them."""

    status = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.status:
            yield Text(self.status)


def progress_bar(quiet: bool = False) -> StatusProgress:
    """A bar with count and times, shown on terminals only."""
    console = Console(stderr=True)
    return StatusProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=max(4, min(40, console.width - _WIDTH_OF_OTHERS))),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )


class Lines:
    """Says when the next line is due where nobody watches a bar."""

    def __init__(self, bar: Progress) -> None:
        self._wanted = not bar.console.is_terminal
        self._last = time.monotonic()

    def begins(self, what: str) -> None:
        """Logs that a step begins."""
        if self._wanted:
            log.info("%s …", what)
            self.said()

    def due(self) -> bool:
        if not self._wanted or time.monotonic() - self._last < INTERVAL_S:
            return False
        self.said()
        return True

    def said(self) -> None:
        self._last = time.monotonic()


@contextmanager
def counting_up(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Shows a bar, and gives the function to call with (done, total) whenever that changes."""
    with progress_bar(quiet) as bar:
        task, lines = bar.add_task(printable(what), total=None), Lines(bar)
        lines.begins(what)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if lines.due():
                log.info("%s: %d of %d", what, done, total)

        yield update


@contextmanager
def counting(what: str, total: int, quiet: bool) -> Iterator[Callable[[str], None]]:
    """The same, but gives the function to call with the name of each of `total` pieces of work as it ends."""
    with counting_up(what, quiet) as update:
        done = 0
        update(done, total)

        def step(name: str) -> None:
            nonlocal done
            done += 1
            update(done, total)

        yield step
