"""What a user asks of a cross-validation."""

from dataclasses import dataclass

from ..models.registry import COMPARED
from ..runtime.errors import InputError
from ..training.options import check_device
from ..training.schedule import parse_budget
from .jobs import RUNNER
from .run_jobs import Where


@dataclass(frozen=True)
class CrossvalOptions:
    """folds None: all. budget: a time such as "15min"; without it and
    `iterations` the plan's schedule. jobs: trainings at once on one machine. cluster: address of a Dask scheduler whose
    workers train. command: the command line, noted with each fold and quoted in the tables. workers: -np of each
    training. ensemble: also the mean of `models`, of each fold that all of them have finished. runner: what Python runs
    a job with.
    """

    dataset: str
    models: tuple[str, ...] = COMPARED
    config: str | None = None
    folds: tuple[int, ...] | None = None
    budget: str | None = None
    iterations: int | None = None
    jobs: int = 1
    cluster: str | None = None
    device: str = "auto"
    seed: int = 0
    workers: int | None = None
    quiet: bool = False
    ensemble: bool = False
    command: str = "mednca_crossval"
    runner: tuple[str, ...] = RUNNER

    def __post_init__(self) -> None:
        if self.budget is not None and self.iterations is not None:
            raise InputError("--budget and --iterations", "one of them", "both", "Leave one out.")
        if self.budget is not None:
            parse_budget(self.budget)
        if self.iterations is not None and self.iterations < 1:
            raise InputError("--iterations", "at least 1", str(self.iterations))
        check_device(self.device)
        if self.workers is not None and self.workers < 0:
            raise InputError("-np", "at least 0", str(self.workers))
        if self.jobs < 1:
            raise InputError("--jobs", "at least 1", str(self.jobs))
        if self.ensemble and len(set(self.models)) < 2:
            raise InputError("--ensemble", "several models", ", ".join(self.models), "Name more with --models.")

    @property
    def where(self) -> Where:
        return Where(self.jobs, self.cluster, self.runner)
