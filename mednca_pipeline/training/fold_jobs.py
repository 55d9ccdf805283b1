"""Runs trainings as processes of their own, some at once: one failing or dying takes no other with it."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)
_POLL_S = 0.1
_INTERRUPTED = 130


@dataclass(frozen=True)
class FoldJob:
    """One fold of one model.

    action: "new", "continue" (it has a checkpoint) or "validate" (it is trained, but has no summary).
    """

    model: str
    config: str
    fold: int
    folder: Path
    action: str = "new"

    @property
    def name(self) -> str:
        return f"{self.model}_{self.config} fold {self.fold}"


@dataclass(frozen=True)
class Outcome:
    """How a job ended: exit code, last error message, and duration."""

    job: FoldJob
    code: int
    reason: str
    minutes: float


class _Running:
    """A started training, whose standard error is forwarded and searched for its error message."""

    def __init__(self, job: FoldJob, command: Sequence[str], log_file: Path | None) -> None:
        self.job, self.reason, self._started = job, "", time.monotonic()
        self._output = _open_log(log_file) if log_file else None
        self.process = subprocess.Popen(
            list(command),
            stdout=self._output,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches only this process, which then asks each training to save, once
        )
        self._reader = threading.Thread(target=self._forward, daemon=True)
        self._reader.start()

    def _forward(self) -> None:
        last = ""
        sink = self._output or sys.stderr.buffer
        for line in self.process.stderr:
            sink.write(line)
            sink.flush()
            text = line.decode(errors="replace").strip()
            last = text or last
            if text.startswith("error:"):
                self.reason = text.removeprefix("error:").strip()
        self.reason = self.reason or last

    def outcome(self) -> Outcome | None:
        """None while it runs."""
        code = self.process.poll()
        if code is None:
            return None
        self._reader.join(timeout=5)
        if self._output:
            self._output.close()
        reason = self.reason if code else ""
        if code < 0:
            reason = f"killed by signal {-code} (of memory? fewer --jobs need less)"
        return Outcome(self.job, code, reason, (time.monotonic() - self._started) / 60)


def run_jobs(
    jobs: Sequence[FoldJob],
    slots: int,
    command_for: Callable[[FoldJob, Sequence[FoldJob]], list[str] | None],
    on_end: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Runs the jobs in order, at most `slots` at once, each as the process that `command_for` names.

    command_for: called with a job and the jobs that run now; None lets the job wait. It must not stay None while
        nothing runs.
    With several slots a job's output goes to crossval.log in its folder, else to the terminal.
    Raises KeyboardInterrupt on Ctrl-C, SIGTERM and SIGHUP, after every running training has been asked to save, and
    has ended.
    """
    waiting, running, outcomes = list(jobs), [], []
    try:
        with _signals_as_interrupt():
            while waiting or running:
                _start_ready(waiting, running, slots, command_for)
                time.sleep(_POLL_S)
                for started in list(running):
                    outcome = started.outcome()
                    if outcome:
                        running.remove(started)
                        outcomes.append(outcome)
                        on_end(outcome)
                        if outcome.code == _INTERRUPTED:
                            raise KeyboardInterrupt
    except KeyboardInterrupt:
        _stop(running)
        raise
    return outcomes


def _start_ready(waiting: list[FoldJob], running: list[_Running], slots: int, command_for) -> None:
    for job in list(waiting):
        if len(running) >= slots:
            return
        command = command_for(job, [started.job for started in running])
        if command is None:
            continue
        waiting.remove(job)
        log_file = job.folder / "crossval.log" if slots > 1 else None
        log.info("%s: started%s", job.name, f", output in {log_file}" if log_file else "")
        running.append(_Running(job, command, log_file))


def _stop(running: Sequence[_Running]) -> None:
    if not running:
        return
    log.warning("Stopping: waiting until %s saved …", ", ".join(started.job.name for started in running))
    for started in running:
        if started.process.poll() is None:
            started.process.terminate()
    for started in running:
        started.process.wait()


def _open_log(file: Path) -> IO[bytes]:
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.open("ab")


@contextlib.contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP behave as Ctrl-C; SIGHUP stays ignored under nohup."""

    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    names = ["SIGTERM"] + (["SIGHUP"] if os.name == "posix" else [])
    numbers = [getattr(signal, name) for name in names]
    in_main = threading.current_thread() is threading.main_thread()
    chosen = [number for number in numbers if in_main and signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in chosen}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
