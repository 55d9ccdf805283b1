"""What a user asks of one training."""

import re
from dataclasses import dataclass
from pathlib import Path

from ..runtime.errors import InputError


def check_device(name: str) -> None:
    """Raises InputError for what is no device's name; whether this machine has it only torch knows."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise InputError("--device", "auto, cpu, cuda, cuda:1 or mps", repr(name))


@dataclass(frozen=True)
class TrainingOptions:
    """One fold of one model. At most one of `budget_s` and `iterations` is given; without both the plan decides.

    planned_iterations: of the plan's schedule, where the caller knows them; they change nothing but the record.
    workers: processes that augment; None chooses by cores and device. threads: that compute; None for the other cores.
    """

    dataset: str
    fold: int | str
    model: str = "mednca"
    config: str | None = None
    budget_s: float | None = None
    iterations: int | None = None
    planned_iterations: int | None = None
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
            raise InputError("--budget and --iterations", "one of them", "both", "Leave one of them out.")
        if self.iterations is not None and self.iterations < 1:
            raise InputError("--iterations", "at least 1", str(self.iterations))
        if self.resume and self.force:
            remedy = "Go on with a training, or start it again."
            raise InputError("--continue and --force", "one of them", "both", remedy)
        check_device(self.device)
        for flag, count, least in (("-np", self.workers, 0), ("--threads", self.threads, 1)):
            if count is not None and count < least:
                raise InputError(flag, f"at least {least}", str(count))
