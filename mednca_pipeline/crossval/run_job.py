"""python -m mednca_pipeline.crossval.run_job JOB.json: does one job, and writes beside it how that ended.

It saves and ends when the process that started it is gone, so that the fold can go on elsewhere.
"""

import argparse
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path

from ..execution.libraries import keep_freed_memory, log_to_terminal, numpy_on_one_thread, wait_briefly
from ..execution.processes import augmenting_workers, cores
from ..execution.signals import DONE, INPUT_FAULT, OUR_FAULT, exit_code, stopped_by_signals
from ..runtime.errors import InputError, correctable
from ..runtime.files import write_json
from ..runtime.printing import LINES, printable
from ..workspace import open_workspace
from .jobs import FoldJob, JobOutcome, read_job

LOCK_WAIT_S = 90.0  # of a process whose parent died: it saves first
PARENT_POLL_S = 0.5


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code of mednca_train for the same end."""
    parser = argparse.ArgumentParser("python -m mednca_pipeline.crossval.run_job", description=__doc__)
    parser.add_argument("job", type=Path, help="a job.json, as mednca_crossval leaves it in a fold's folder")
    file = parser.parse_args(argv).job
    threading.Thread(target=_end_after_parent, args=(os.getppid(),), daemon=True).start()
    wait_briefly()
    numpy_on_one_thread()
    keep_freed_memory()
    try:
        job, started = read_job(file), time.monotonic()
    except InputError as error:
        print(printable(f"error: {error}", keep=LINES), file=sys.stderr)
        return INPUT_FAULT
    log_to_terminal([__package__.partition(".")[0]], job.quiet)
    with stopped_by_signals():
        outcome, code = _attempt(job)
    write_json(job.folder.outcome_file, replace(outcome, minutes=(time.monotonic() - started) / 60))
    return code


def _attempt(job: FoldJob) -> tuple[JobOutcome, int]:
    try:
        return JobOutcome(job.id, "done", iterations=_do(job)), DONE
    except KeyboardInterrupt as error:
        print(printable(f"error: {error}", keep=LINES), file=sys.stderr)
        return JobOutcome(job.id, "interrupted", str(error)), exit_code(error)
    except Exception as raised:
        named = correctable(raised)
        if isinstance(named, InputError):
            print(f"error: {named}", file=sys.stderr)
            return JobOutcome(job.id, "failed", str(named), "input"), INPUT_FAULT
        traceback.print_exc()
        return JobOutcome(job.id, "failed", f"{type(named).__name__}: {named}", "ours"), OUR_FAULT


def _do(job: FoldJob) -> int | None:
    """The number of iterations where that was asked for."""
    from ..training.fold import revalidate, time_fold, train_fold
    from ..training.options import TrainingOptions
    from ..training.printer import EpochPrinter

    with job.folder.only_writer(LOCK_WAIT_S):
        state = job.folder.state()
    resumed = state in ("resumable", "running")
    workers, threads = _shared_cores(job)
    options = TrainingOptions(
        dataset=job.dataset,
        fold=job.fold,
        model=job.model,
        config=job.config,
        budget_s=job.budget_s,
        iterations=None if resumed or state == "trained" else job.iterations,
        planned_iterations=job.planned_iterations,
        device=job.device,
        seed=job.seed,
        workers=workers,
        threads=threads,
        resume=resumed,
        command=job.command,
    )
    workspace = open_workspace(job.root)
    if job.action == "time":
        with EpochPrinter(quiet=job.quiet) as printer:
            return time_fold(workspace, options, printer)
    with EpochPrinter(quiet=job.quiet) as printer:
        if state == "trained":
            revalidate(workspace, options, printer)
        else:
            train_fold(workspace, options, printer)
    return None


def _shared_cores(job: FoldJob) -> tuple[int | None, int | None]:
    """(processes that augment, threads); None where the training chooses for a machine of its own."""
    if job.share <= 1:
        return job.workers, None
    from ..device import choose_device

    share = max(1, cores() // job.share)
    workers = augmenting_workers(share, choose_device(job.device).type) if job.workers is None else job.workers
    return workers, max(1, share - workers)


def _end_after_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)  # a training saves and ends; anything else just ends


if __name__ == "__main__":
    sys.exit(main())
