"""What a training tells whoever watches it."""

from typing import Protocol

from .state import TrainingState


class Watch(Protocol):
    """Called from the training's own thread."""

    def begins(self, what: str, total: int) -> None:
        """A stage of `total` equal pieces begins, such as "Training" (iterations) or "Measuring validation cases"."""

    def advances(self, done: int) -> None:
        """`done` pieces of the present stage are done."""

    def epoch(self, state: TrainingState) -> None:
        """An epoch ended; its row is the state's last."""


class Silent:
    """Watches without a word."""

    def begins(self, what: str, total: int) -> None:
        pass

    def advances(self, done: int) -> None:
        pass

    def epoch(self, state: TrainingState) -> None:
        pass


SILENT = Silent()
