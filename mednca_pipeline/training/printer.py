"""A training on the terminal: a bar where there is one, a line now and then where the output is a file."""

import math
from collections.abc import Mapping

from rich.progress import TaskID

from ..execution.bars import progress_bar
from ..execution.progress import Lines
from ..execution.terminal import say
from .state import TrainingState


class EpochPrinter:
    """A Watch that shows each stage of a training: a bar on a terminal, else lines as it begins and as it goes on."""

    def __init__(self, quiet: bool) -> None:
        self._bar = progress_bar(quiet)
        self._lines = Lines(self._bar.console.is_terminal)
        self._quiet = quiet
        self._task: TaskID | None = None
        self._what, self._total, self._told = "", 0, ""

    def __enter__(self) -> "EpochPrinter":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begins(self, what: str, total: int) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._what, self._total, self._told, self._bar.status = what, total, "", ""
        self._task = self._bar.add_task(what, total=total)
        if not self._quiet and not self._bar.console.is_terminal:
            say(f"{what}...")
            self._lines.said()

    def advances(self, done: int) -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=done)
        if self._lines.due():
            self._say(done)

    def epoch(self, state: TrainingState) -> None:
        self._told = self._bar.status = told(state.rows[-1])
        if state.iteration == state.iterations and not self._bar.console.is_terminal:
            self._say(state.iteration)
            self._lines.said()

    def _say(self, done: int) -> None:
        if not self._quiet:
            say(f"{self._what}: {done} of {self._total}{'; ' if self._told else ''}{self._told}")


def told(row: Mapping[str, float]) -> str:
    """An epoch in words: its loss, and the Dice of each class by name."""
    dice = {name.removeprefix("dice_"): value for name, value in row.items() if name.startswith("dice_")}
    classes = ", ".join(f"{name} {'-' if math.isnan(value) else f'{value:.3f}'}" for name, value in dice.items())
    return f"loss {row['train_loss']:.3f}; Dice: {classes}"
