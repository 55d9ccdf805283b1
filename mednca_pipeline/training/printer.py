"""A training on the terminal: a bar where there is one, a line now and then where the output is a file."""

import time

from rich.progress import TaskID

from ..execution.progress import progress_bar
from ..runtime.printing import printable
from .state import TrainingState

INTERVAL_S = 30.0  # between two lines


class EpochPrinter:
    """Shows a training: a bar on a terminal, else a line every half minute."""

    def __init__(self, quiet: bool) -> None:
        self._bar = progress_bar(quiet)
        self._lines = not quiet and not self._bar.console.is_terminal
        self._last = 0.0
        self._task: TaskID | None = None
        self._cases = 0

    def __enter__(self) -> "EpochPrinter":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def epoch(self, state: TrainingState) -> None:
        """Called with the training's state after each epoch."""
        row = state.rows[-1]
        dice = " ".join(f"{row[name]:.3f}" for name in row if name.startswith("dice_"))
        text = f"loss {row['train_loss']:.3f}  Dice {dice}  |state| {row['hidden_magnitude']:.1f}"
        if self._task is None:
            self._task = self._bar.add_task(text, total=state.iterations)
        self._bar.update(self._task, completed=state.iteration, description=text, total=state.iterations)
        done = state.iteration == state.iterations
        if self._lines and (done or time.monotonic() - self._last > INTERVAL_S):
            self._last = time.monotonic()
            seconds = row["seconds_per_iteration"]
            left = (state.iterations - state.iteration) * seconds / 60
            print(
                f"iteration {state.iteration}/{state.iterations}  {text}  {seconds:.3f} s/it  {left:.1f} min left",
                flush=True,
            )

    def case(self, name: str) -> None:
        """Called with the name of each validated case."""
        self._cases += 1
        if self._lines and time.monotonic() - self._last > INTERVAL_S:
            self._last = time.monotonic()
            print(f"validated {self._cases} cases ({printable(name)})", flush=True)
