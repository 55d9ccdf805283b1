"""What a user asks of one training."""

from dataclasses import dataclass
from pathlib import Path

from ..runtime.errors import InputError


@dataclass(frozen=True)
class TrainingOptions:
    """One fold of one model. At most one of `budget_s` and `iterations` is given; without both the plan decides.

    workers: processes that augment; None chooses by cores and device. threads: that compute; None for the other cores.
    """

    dataset: str
    fold: int | str
    model: str = "mednca"
    config: str | None = None
    budget_s: float | None = None
    iterations: int | None = None
    device: str = "auto"
    seed: int = 0
    workers: int | None = None
    threads: int | None = None
    resume: bool = False
    force: bool = False
    pretrained: Path | None = None
    command: str = ""

    def __post_init__(self) -> None:
        if self.budget_s is not None and self.iterations is not None:
            raise InputError("--budget and --iterations exclude each other: give one of them.")
        if self.iterations is not None and self.iterations < 1:
            raise InputError(f"--iterations {self.iterations}: expected at least 1.")
        if self.resume and self.force:
            raise InputError("--continue and --force exclude each other: go on with a training, or start it again.")
