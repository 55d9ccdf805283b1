"""The progress of a cross-validation whose trainings write into files: a bar for each running fold."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.progress import TaskID

from ..execution.bars import progress_bar
from ..execution.progress import Lines
from ..execution.terminal import say

if TYPE_CHECKING:
    from ..crossval.watching import Standing


class FoldBars:
    """A CrossvalWatch for the terminal; where there is none, it says now and then how far each fold is."""

    def __init__(self, quiet: bool) -> None:
        self._bar, self._quiet = progress_bar(quiet), quiet
        self._lines = Lines(self._bar.console.is_terminal)
        self._tasks: dict[str, TaskID] = {}
        self._started = False

    def __enter__(self) -> "FoldBars":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def folds(self, standings: "Sequence[Standing]") -> None:
        self._show([(f"{each.name} {each.what}", each.done, each.total) for each in standings])
        if standings and self._lines.due() and not self._quiet:
            told = "; ".join(f"{each.name} {each.what}{_count(each.done, each.total)}" for each in standings)
            say(told)

    def concludes(self, folds: int) -> None:
        self._show([("Comparing", 0, 0)])
        if not self._quiet:
            self._lines.begins("Comparing")

    def _show(self, bars: Sequence[tuple[str, int, int]]) -> None:
        if bars and not self._started:  # not before: a single training shows bars of its own
            self._bar.start()
            self._started = True
        for name in set(self._tasks) - {name for name, _, _ in bars}:
            self._bar.remove_task(self._tasks.pop(name))
        for name, done, total in bars:
            if name not in self._tasks:
                self._tasks[name] = self._bar.add_task(name, total=None)
            self._bar.update(self._tasks[name], completed=done, total=total or None)


def _count(done: int, total: int) -> str:
    return f" {done} of {total}" if total else f" {done}" if done else ""
