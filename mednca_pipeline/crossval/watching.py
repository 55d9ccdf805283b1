"""How far the folds are that other processes train: read from the files that they write."""

import csv
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..runtime.errors import InputError
from .jobs import FoldJob

POLL_S = 1.0


@dataclass(frozen=True)
class Standing:
    """A fold that is being worked on. what: "timing", "training" or "validating"; done of total pieces of it, total 0
    where it is not known.
    """

    name: str
    what: str
    done: int = 0
    total: int = 0


def standing(job: FoldJob) -> Standing:
    """As the fold's folder says; "timing" until it says anything."""
    folder = job.folder
    try:
        run = folder.run()
    except InputError:
        run = None
    total = (run.iterations or 0) if run else 0
    if job.action == "time" or not total:
        return Standing(job.name, "timing")
    done = _iterations_done(job)
    if done < total or not folder.validation.is_dir():
        return Standing(job.name, "training", done, total)
    return Standing(job.name, "validating", sum(1 for _ in folder.validation.iterdir()))


class CrossvalWatch(Protocol):
    """Hears how far a cross-validation is."""

    def folds(self, standings: Sequence[Standing]) -> None:
        """Called every second, from another thread, while other processes train without a terminal of their own."""

    def concludes(self, folds: int) -> None:
        """All trainings ended; postprocessing and comparison of so many folds follow."""


class Silent:
    """Watches without a word."""

    def folds(self, standings: Sequence[Standing]) -> None:
        pass

    def concludes(self, folds: int) -> None:
        pass


SILENT = Silent()


class Averaging:
    """A training's Watch for the validation of an ensemble's fold, which tells a CrossvalWatch how far it is."""

    def __init__(self, name: str, watch: CrossvalWatch) -> None:
        self._name, self._watch = name, watch
        self._what, self._total = "", 0

    def begins(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self.advances(0)

    def advances(self, done: int) -> None:
        self._watch.folds([Standing(self._name, f"{self._what[:1].lower()}{self._what[1:]}", done, self._total)])

    def epoch(self, state: object) -> None:
        pass


def running(jobs: Sequence[FoldJob], since: float) -> list[FoldJob]:
    """The jobs that began after `since` (as time.time()) and have not ended, as their files say."""
    return [job for job in jobs if since <= _written(job.folder.job_file) > _written(job.folder.outcome_file)]


@contextmanager
def watching(jobs: Sequence[FoldJob], watch: CrossvalWatch) -> Iterator[None]:
    """Tells `watch` every second how far the running ones of `jobs` are."""
    ended, since = threading.Event(), time.time() - 1

    def poll() -> None:
        while not ended.wait(POLL_S):
            watch.folds([standing(job) for job in running(jobs, since)])

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        watch.folds([])


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _iterations_done(job: FoldJob) -> int:
    try:
        with job.folder.curve.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return int(float(rows[-1]["iteration"])) if rows else 0
    except (OSError, KeyError, ValueError):
        return 0
