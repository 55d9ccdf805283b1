"""One fold's folder: its files, the state that it is in, and the lock of the one process that writes into it."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..runtime.errors import InputError
from ..runtime.files import flush, read_json
from .run_record import RunRecord, read_run, write_run
from .summary import Summary, read_summary, write_summary

FoldName = int | str  # a number, or "all"
State = Literal["new", "timing", "running", "resumable", "trained", "validated", "foreign"]
LOCK_WAIT_S = 1.0  # more than another process takes to look whether the lock is held


@dataclass(frozen=True)
class Origin:
    """What a fold's weights are made from. digest: of the plans. split: of the fold's cases."""

    digest: str
    split: str


@dataclass(frozen=True)
class FoldFolder:
    """results/<dataset>/<model>/fold_<k>. Its life:

        new ──begin──> timing ──first checkpoint──> running ──process ends──> resumable
                         │ ^                         │  ^                         │
                         └─┘ killed, begun again     │  └───────continued─────────┘
                                                     └──finished──> trained ──summary──> validated

    new: no run.json. timing: begun, and no iteration is done yet. running: unfinished, and a process holds the lock.
    resumable: unfinished, with a checkpoint. trained: run.json says finished; fold "all" stays there. validated: there
    is summary.json, too. foreign: whatever it holds was made from other plans or cases than expected. `begin` leads
    from every state to timing, and a training that is extended from trained or validated to running. An unfinished
    training whose checkpoint was removed is new: there is nothing to go on with.
    """

    path: Path

    @property
    def name(self) -> FoldName:
        return fold_name(self.path.name)

    @property
    def run_file(self) -> Path:
        return self.path / "run.json"

    @property
    def summary_file(self) -> Path:
        return self.path / "summary.json"

    @property
    def checkpoint(self) -> Path:
        """What --continue needs."""
        return self.path / "checkpoint.pt"

    @property
    def curve(self) -> Path:
        """A row per epoch."""
        return self.path / "training.csv"

    @property
    def picture(self) -> Path:
        """The curve, drawn."""
        return self.path / "progress.png"

    @property
    def log(self) -> Path:
        return self.path / "training.log"

    @property
    def weights(self) -> Path:
        """After the last iteration: what predicts."""
        return self.path / "final.safetensors"

    @property
    def best_weights(self) -> Path:
        """For diagnosis."""
        return self.path / "best.safetensors"

    @property
    def validation(self) -> Path:
        """The folder of the validation cases' label files, from which no component is removed."""
        return self.path / "validation"

    @property
    def cases_file(self) -> Path:
        """The validation cases, the lowest Dice first."""
        return self.path / "cases.csv"

    @property
    def worst(self) -> Path:
        """The folder of pictures of the worst validation cases."""
        return self.path / "worst"

    @property
    def job_file(self) -> Path:
        """What a cross-validation asks of the process that trains this fold."""
        return self.path / "job.json"

    @property
    def outcome_file(self) -> Path:
        """How that process ended."""
        return self.path / "outcome.json"

    @property
    def job_log(self) -> Path:
        """What that process printed."""
        return self.path / "crossval.log"

    def state(self, origin: Origin | None = None) -> State:
        """origin: what the fold is expected to be made from; None: whatever it is. Raises InputError for a damaged
        run.json.
        """
        run = self.run()
        if run is None:
            return "new"
        if origin and not self.is_made_from(origin):
            return "foreign"
        if run.finished:
            return "validated" if self.summary_file.is_file() else "trained"
        if run.beginning or not any(file.exists() for file in self._left_by_iterations):
            return "timing"
        if not self.checkpoint.is_file():
            return "new"
        return "running" if self._is_held() else "resumable"

    def is_made_from(self, origin: Origin) -> bool:
        run = self.run()
        same_cases = self.name == "all" or (run and run.split == origin.split)
        return bool(run and run.digest == origin.digest and same_cases)

    def has_final_weights(self) -> bool:
        """Whether there are any that were not left from a training that another one is replacing."""
        if not self.weights.is_file():
            return False
        try:
            run = self.run()
        except InputError:  # a damaged run.json: whoever predicts with this fold says so
            return True
        return not (run and run.beginning)

    def is_validated(self) -> bool:
        """Trained to its end, and measured."""
        return self.state() == "validated"

    def run(self) -> RunRecord | None:
        """None where nothing was begun. Raises InputError when run.json cannot be read."""
        return read_run(self.run_file) if self.run_file.exists() else None

    def run_digest(self) -> str:
        """Of run.json: another one means that the fold was trained again."""
        return hashlib.sha256(json.dumps(read_json(self.run_file), sort_keys=True).encode()).hexdigest()[:16]

    def write_run(self, record: RunRecord) -> None:
        write_run(self.run_file, record)

    def summary(self) -> Summary:
        """Raises InputError when summary.json is missing or cannot be read."""
        return read_summary(self.summary_file)

    def write_summary(self, summary: Summary) -> None:
        write_summary(self.summary_file, summary)

    def begin(self, record: RunRecord) -> None:
        """Removes what a former training left: half of the old and half of the new would pass for one fold.

        The record is written before: killed in between, the fold is not taken for the former one without its files.
        """
        write_run(self.run_file, replace(record, beginning=True))
        for file in (self.summary_file, self.cases_file, *self._left_by_iterations):
            file.unlink(missing_ok=True)
        shutil.rmtree(self.validation, ignore_errors=True)
        shutil.rmtree(self.worst, ignore_errors=True)
        flush(self.path)
        write_run(self.run_file, record)

    @contextmanager
    def only_writer(self, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
        """Holds the fold's lock; its folder is made where needed. The system frees it when the process ends, however.

        Two trainings in one folder would spoil each other's checkpoints. Raises InputError when another process holds
        the lock for `wait_s`.
        """
        from filelock import FileLock, Timeout  # no part of the light installation, which writes no fold

        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._lock_file)
        try:
            lock.acquire(timeout=wait_s)
        except Timeout as error:
            raise InputError(
                self.path,
                found=f"another process that trains or validates this fold{_owner(self._lock_file)}",
                remedy="Wait until it is done, or end it. Then run this command again.",
            ) from error
        except OSError as error:
            raise self._no_lock(error) from error
        try:
            yield
        finally:
            lock.release()

    @property
    def _left_by_iterations(self) -> tuple[Path, ...]:
        return self.checkpoint, self.curve, self.best_weights, self.weights

    @property
    def _lock_file(self) -> Path:
        return self.path / ".lock"

    def _is_held(self) -> bool:
        from filelock import FileLock, Timeout

        if not self._lock_file.exists():
            return False
        try:
            with FileLock(self._lock_file).acquire(timeout=0):
                return False
        except Timeout:
            return True
        except OSError as error:
            raise self._no_lock(error) from error

    def _no_lock(self, error: OSError) -> InputError:
        found = f"that it cannot be opened ({error.strerror}){_owner(self._lock_file)}"
        remedy = "Have it removed if nobody trains this fold, and its folder made writable."
        return InputError(self._lock_file, "the lock of this fold", found, remedy)


def _owner(lock: Path) -> str:
    """ "Of whom the lock is, where it is another user's."""
    try:
        owner = lock.lstat().st_uid
        if owner == os.getuid():
            return ""
        import pwd

        return f", with a lock of the user {pwd.getpwuid(owner).pw_name}"
    except (OSError, KeyError, AttributeError, ImportError):  # Windows, or a user that this machine does not know
        return ""


def fold_name(fold: str | int) -> FoldName:
    """`0`, `fold0`, `fold_0` -> 0; `all` -> "all". Raises InputError for anything else."""
    match = re.fullmatch(r"(?:fold_?)?(\d+|all)", str(fold).strip())
    if not match:
        raise InputError("fold", "a number such as 0, fold0 or fold_0, or 'all'", repr(fold))
    return match[1] if match[1] == "all" else int(match[1])
