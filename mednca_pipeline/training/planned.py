"""How many iterations the plan's schedule has, for a training that follows it and for one that does not."""

from ..preprocessing.store import CaseStore
from .job import Job
from .schedule import until_seen
from .state import TrainingState


def minutes_of_plan(job: Job) -> float:
    """On the job's kind of device."""
    return job.plan.training.minutes["cuda" if job.device.type == "cuda" else "cpu"]


def training_images(job: Job) -> int:
    """Slices of a 2D network, cases of a 3D one."""
    store = CaseStore(job.recipe.store)
    return sum(store.properties(case).shape[0] if job.recipe.dim == 2 else 1 for case in job.recipe.cases)


def planned_iterations(job: Job, state: TrainingState, finished: bool) -> int | None:
    """Of the plan's schedule on this machine: as timed, else by the speed of the finished training; None if unknown."""
    options, training = job.options, job.plan.training
    if options.planned_iterations:
        return options.planned_iterations
    if not options.resume and options.iterations is None and options.budget_s is None:
        return state.iterations or None
    if not finished or not state.minutes:
        return None
    in_time = max(1, round(state.iteration * minutes_of_plan(job) / state.minutes))
    return until_seen(in_time, training.most_views, training_images(job), training.batch_size)
