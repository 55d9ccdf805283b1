"""A bar of rich's, for terminals. rich is slow to import, so progress.py takes this module only where there is one."""

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

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
