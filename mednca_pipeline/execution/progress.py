"""Progress of work: a bar on a terminal, a log line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..runtime.printing import printable

log = logging.getLogger(__name__)
INTERVAL_S = 10.0  # between two lines where the output is no terminal


class Lines:
    """Says when the next line is due where nobody watches a bar. watched: whether somebody does."""

    def __init__(self, watched: bool) -> None:
        self._wanted = not watched
        self._last = time.monotonic()

    def begins(self, what: str) -> None:
        """Logs that a step begins."""
        if self._wanted:
            log.info("%s...", what)
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
    if sys.stderr.isatty():
        from .bars import progress_bar

        with progress_bar(quiet) as bar:
            task = bar.add_task(printable(what), total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    lines = Lines(watched=False)
    lines.begins(what)

    def update(done: int, total: int) -> None:
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
