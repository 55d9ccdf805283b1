"""Runs jobs, some at once or on a cluster, and has all of them save when the command is interrupted."""

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..execution.executors import open_waiters
from ..execution.signals import stopped_by_signals
from ..execution.work import Task, run
from ..runtime.errors import InputError
from .jobs import RUNNER, FoldJob, JobOutcome, run_in_process
from .watching import SILENT, CrossvalWatch, watching

log = logging.getLogger(__name__)
SAVE_S = 120.0  # that a training may take to save


@dataclass(frozen=True)
class Where:
    """at_once: trainings at once on this machine. cluster: address of a Dask scheduler that decides instead. runner:
    what Python runs a job with.
    """

    at_once: int = 1
    cluster: str | None = None
    runner: tuple[str, ...] = RUNNER

    @property
    def logged(self) -> bool:
        """Whether each job's output goes into its fold's folder, and not to the terminal."""
        return self.at_once > 1 or self.cluster is not None


def run_jobs(
    jobs: Sequence[FoldJob],
    where: Where,
    on_end: Callable[[FoldJob, JobOutcome], None],
    watch: CrossvalWatch = SILENT,
) -> None:
    """Runs the jobs in order, each as a process of its own. on_end: called after each. watch: hears how far they are,
    unless they tell the terminal themselves.

    Raises KeyboardInterrupt on Ctrl-C, SIGTERM and SIGHUP, and when a job was interrupted by itself, after every
    running training has been asked to save, and has ended.
    """
    if not jobs:
        return
    left = {job.name: job for job in jobs}
    watched = watching(jobs, watch) if where.logged else contextlib.nullcontext()
    with open_waiters(where.at_once, where.cluster) as executor, stopped_by_signals(), watched:
        stop = executor.stop()
        tasks = [Task(job.name, run_in_process, (job, where.runner, where.logged, stop)) for job in jobs]
        try:
            for ended in run(tasks, executor):
                job = left.pop(ended.task.name)
                outcome = ended.value if ended.error is None else _not_run(job, ended.error)
                if outcome.state == "interrupted":
                    raise KeyboardInterrupt
                on_end(job, outcome)
        except KeyboardInterrupt:
            log.warning("Stopping: waiting until every training has saved...")
            stop.set()
            for job in left.values():
                _wait_until_saved(job)
            raise


def _not_run(job: FoldJob, error: Exception) -> JobOutcome:
    """The work around the process failed: its files could not be written, or the workers were lost."""
    if isinstance(error, InputError):
        return JobOutcome(job.id, "failed", str(error), "input")
    log.error("%s:", job.name, exc_info=error)
    return JobOutcome(job.id, "failed", str(error), "ours")


def _wait_until_saved(job: FoldJob) -> None:
    folder = job.folder
    if not folder.job_file.is_file():
        return
    with contextlib.suppress(InputError), folder.only_writer(SAVE_S):
        pass
