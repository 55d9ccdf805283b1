"""How long the folds of a planned dataset will take on this machine, validation included."""

from dataclasses import dataclass

import torch

from ..workspace import Workspace
from .fold import enough_iterations, scoring_batch, use_threads
from .job import prepare
from .options import TrainingOptions
from .planned import minutes_of_plan
from .schedule import iterations_for, training_s
from .timing import measure
from .watch import SILENT, Watch

MOST_S = 1.0  # of timed iterations, where they are fast


@dataclass(frozen=True)
class Expected:
    """One model, by the plan's schedule. training_s, validation_s: of a fold. device: that was measured."""

    model: str
    config: str
    iterations: int
    training_s: float
    validation_s: float
    device: str

    @property
    def fold_s(self) -> float:
        return self.training_s + self.validation_s


def expected(workspace: Workspace, dataset: str, model: str, config: str, watch: Watch = SILENT) -> Expected:
    """Times some iterations and one prediction of the first fold, in a few seconds. Needs its preprocessed cases."""
    threads = torch.get_num_threads()
    job = prepare(workspace, TrainingOptions(dataset, 0, model, config), mixed=True)
    use_threads(job)
    try:
        timing = measure(workspace, job, scoring_batch(job), MOST_S, watch)
    finally:
        torch.set_num_threads(threads)
    schedule_s = minutes_of_plan(job) * 60
    iterations = enough_iterations(job, iterations_for(schedule_s, timing.iteration_s, timing.epoch_end_s))
    trains_s = training_s(iterations, timing.iteration_s, timing.epoch_end_s)
    validation_s = (timing.case_s or 0.0) * len(job.fold.val)
    return Expected(model, config, iterations, trains_s, validation_s, job.device.type)
