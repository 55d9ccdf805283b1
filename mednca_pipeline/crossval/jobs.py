"""Jobs of a cross-validation and how they ended, as JSON files; each runs as a process of its own."""

import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from ..execution.executors import Stop
from ..results.fold_folder import FoldFolder
from ..results.model_folder import ModelFolder, ModelRecord
from ..runtime.files import no_link, read_json, write_json
from ..runtime.records import Between, Count, Index, Name, Positive, from_dict
from ..workspace import open_workspace

SCHEMA = 1
RUNNER = ("-m", "mednca_pipeline.crossval.run_job")
_POLL_S = 0.2


@dataclass(frozen=True)
class FoldJob:
    """One fold of one model. root: of the workspace, as an absolute path.

    action: "train" does what is missing of the fold: begins or continues its training, or validates it. "time" says how
    many iterations fit the budget, and changes nothing. planned_iterations: of the plan's schedule, where known. It is
    noted in run.json, as `command` is. budget_s: None for the plan's. workers: processes that augment; None chooses.
    share: how many jobs share a machine's cores. id: of the one process that does it, and of its outcome.
    """

    root: str
    dataset: Name
    model: Name
    config: Name
    fold: Index
    action: Literal["train", "time"] = "train"
    iterations: Index | None = None
    planned_iterations: Index | None = None
    budget_s: Positive | None = None
    seed: int = 0
    device: str = "auto"
    workers: Annotated[int, Between(0, 1000)] | None = None
    share: Count = 1
    command: str = ""
    quiet: bool = False
    id: str = ""
    schema: int = SCHEMA

    @property
    def record(self) -> ModelRecord:
        return ModelRecord(self.dataset, self.model, self.config)

    @property
    def folder(self) -> FoldFolder:
        results = open_workspace(self.root).results_folder(self.dataset)
        return ModelFolder.of(results, self.record).fold(self.fold)

    @property
    def name(self) -> str:
        return f"{self.record.name} fold {self.fold}"


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended. fault: whose it is where it failed. iterations: what was timed."""

    id: str
    state: Literal["done", "failed", "interrupted"]
    error: str = ""
    fault: Literal["input", "ours"] | None = None
    minutes: float = 0.0
    iterations: int | None = None
    schema: int = SCHEMA


def read_job(file: Path) -> FoldJob:
    return from_dict(FoldJob, read_json(file, schema=SCHEMA), str(file))


def read_outcome(file: Path) -> JobOutcome:
    return from_dict(JobOutcome, read_json(file, schema=SCHEMA), str(file))


def run_in_process(job: FoldJob, runner: Sequence[str], logged: bool, stop: Stop) -> JobOutcome:
    """Runs a job as a process of its own, and waits for it: one that dies takes no other with it.

    runner: what Python runs it with. logged: its output goes into the fold's folder, else to the terminal. stop: asks
    the training to save and end.
    """
    job = replace(job, id=uuid.uuid4().hex)  # the process of a lost worker may still write its outcome
    folder = job.folder
    if stop.is_set():
        return JobOutcome(job.id, "interrupted")
    write_json(folder.job_file, job)
    started = time.monotonic()
    with open(folder.job_log, "ab", opener=no_link) if logged else nullcontext() as output:
        process = subprocess.Popen(
            [sys.executable, *runner, str(folder.job_file)],
            stdout=output,
            stderr=output and subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only the command, which then asks each training to save, once
        )
        stopped = _wait(process, stop)
    minutes = (time.monotonic() - started) / 60
    if folder.outcome_file.is_file():
        outcome = read_outcome(folder.outcome_file)
        if outcome.id == job.id:
            return outcome
    if stopped:
        return JobOutcome(job.id, "interrupted", minutes=minutes)
    return JobOutcome(job.id, "failed", _death(process.returncode), "ours", minutes)


def _wait(process: subprocess.Popen, stop: Stop) -> bool:
    """Whether the process was asked to end. It never outlives the caller's interest in it."""
    try:
        while True:
            try:
                process.wait(_POLL_S)
                return False
            except subprocess.TimeoutExpired:
                if stop.is_set():
                    return True
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _death(code: int) -> str:
    if code < 0:
        return f"killed by signal {-code} (of memory? fewer --jobs need less)"
    return f"ended with exit code {code} and said nothing"
