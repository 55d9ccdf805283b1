"""Reads thousands of damaged files: every kind of image, and every file that the pipeline itself writes and reads.

    python -m benchmarks.fuzz --seconds 60 --seed 1

Each file is read in a process of its own, with a time limit. What may come of it: the same as before, an InputError, or
(for formats without checksums, and for the values of JSON) something else that is valid. A crash, a hang, more than
1 GB, any other exception, and other data in spite of a checksum are failures; they make the exit code 1.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.mutations import Kinds, damaged
from mednca_pipeline.runtime.errors import InputError, correctable

LIMIT_S = 20
MOST_BYTES = 1 << 30
BATCH = 20  # files that a process reads, unless it dies
OUTCOMES = ("equal", "refused", "other data", "silent", "raised", "crashed", "hung", "over 1 GB")
FAILURES = OUTCOMES[3:]
SHAPES = ("empty", "folder", "pipe")  # in place of the file
TEXT, JSON, BYTES = Kinds(text=True), Kinds(json=True), Kinds()


@dataclass(frozen=True)
class Kind:
    """A file to damage. folder: holds `file`, and what is read with it. read: from the folder to a value.

    guarded: where the part of the file begins that a checksum covers; None where there is none.
    """

    name: str
    folder: Path
    file: str
    read: Callable[[Path], Any]
    kinds: Kinds = BYTES
    guarded: int | None = None


@dataclass
class Report:
    """Outcomes per kind, and what failed."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return sum(sum(counts.values()) for counts in self.counts.values())

    def table(self) -> str:
        rows = [(name, *(str(counts[outcome] or "") for outcome in OUTCOMES)) for name, counts in self.counts.items()]
        sums = ("all", *(str(sum(counts[outcome] for counts in self.counts.values())) for outcome in OUTCOMES))
        lines = [("file", *OUTCOMES), ("---",) * (len(OUTCOMES) + 1), *rows, sums]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fuzz(kinds: list[Kind], seconds: float, seed: int, processes: int = 2, keep: Path | None = None) -> Report:
    """Damages and reads the files of all kinds in turn, for so many seconds. keep: where failing files are kept."""
    report, started = Report(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        originals = {kind.name: _original(kind, scratch) for kind in kinds}
        batches: deque[_Batch] = deque()
        for round_, kind in _turns(kinds):
            if time.monotonic() - started > seconds:
                break
            seeds = [f"{seed} {round_} {index} {kind.name}" for index in range(BATCH)]
            batches.append(_Batch(kind, seeds, scratch, originals[kind.name]))
            if len(batches) == processes:
                batches.popleft().finish(report, keep)
        for batch in batches:
            batch.finish(report, keep)
    report.seconds = time.monotonic() - started
    return report


def _turns(kinds: list[Kind]) -> Iterator[tuple[int, Kind]]:
    for round_ in count():
        yield from ((round_, kind) for kind in kinds)


def _original(kind: Kind, scratch: Path) -> str:
    """The digest of what the undamaged file gives. Read in a process too: libraries' threads do not survive a fork."""
    batch = _Batch(kind, [""], scratch, "")
    (result,) = batch.results() or [{"outcome": "crashed", "message": ""}]
    if result["outcome"] != "other data":
        raise RuntimeError(f"{kind.name} cannot be read undamaged: {result['outcome']} {result['message']}")
    return result["digest"]


class _Batch:
    """A process that reads some damaged files of a kind, one after the other. A seed "" leaves the file as it is."""

    def __init__(self, kind: Kind, seeds: list[str], scratch: Path, expected: str) -> None:
        self.kind, self.seeds, self.scratch, self.expected = kind, seeds, scratch, expected
        self.folder = Path(tempfile.mkdtemp(dir=scratch))
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                self._read_all()
                code = 0
            finally:
                os._exit(code)

    def results(self) -> list[dict[str, Any]]:
        """What came of each file that was read to its end; they may be fewer than the seeds."""
        _, status = os.waitpid(self.pid, 0)
        self.code = os.waitstatus_to_exitcode(status)
        lines = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        return [json.loads(line) for line in lines]

    def finish(self, report: Report, keep: Path | None) -> None:
        """Waits, and counts. What a process that died has not read is read by another."""
        results = self.results()
        if len(results) < len(self.seeds):
            hung = self.code == -signal.SIGALRM
            results.append({"outcome": "hung" if hung else "crashed", "message": f"exit code {self.code}"})
        counts = report.counts.setdefault(self.kind.name, Counter())
        for index, result in enumerate(results):
            outcome = result["outcome"]
            counts[outcome] += 1
            if outcome in FAILURES:
                report.failures.append(f"{self.kind.name}: {outcome}: {result['message']}")
                if keep:
                    target = keep / f"{len(report.failures):03d}_{outcome.replace(' ', '_')}"
                    self._make(self.seeds[index], target)
        rest = self.seeds[len(results) :]
        shutil.rmtree(self.folder)
        if rest:
            _Batch(self.kind, rest, self.scratch, self.expected).finish(report, keep)

    @property
    def _log(self) -> Path:
        return self.folder / "results"

    def _make(self, seed: str, folder: Path) -> tuple[Path, int]:
        """(the folder to read, the first byte that differs)."""
        place = folder / self.kind.folder.name
        shutil.copytree(self.kind.folder, place)
        file, rng = place / self.kind.file, random.Random(seed)
        if not seed:
            return place, 0
        if rng.random() < 0.02:
            file.unlink()
            {"empty": file.touch, "folder": file.mkdir, "pipe": lambda: os.mkfifo(file)}[rng.choice(SHAPES)]()
            return place, 0
        changed, first = damaged(rng, file.read_bytes(), self.kind.kinds)
        file.write_bytes(changed)
        return place, first

    def _read_all(self) -> None:
        """In the process."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        with self._log.open("w", encoding="utf-8") as log:
            for index, seed in enumerate(self.seeds):
                place, first = self._make(seed, self.folder / str(index))
                signal.alarm(LIMIT_S)
                before = reset_peak_bytes()
                result = self._read(place, first)
                if peak_bytes() - before > MOST_BYTES:
                    result["outcome"] = "over 1 GB"
                signal.alarm(0)
                shutil.rmtree(self.folder / str(index))
                log.write(json.dumps(result) + "\n")
                log.flush()

    def _read(self, place: Path, first: int) -> dict[str, Any]:
        try:
            digest = hashlib.sha256(_plain(self.kind.read(place)).encode("utf-8", "replace")).hexdigest()
        except BaseException as raised:  # of a library in Rust even what is no Exception
            error = correctable(raised) if isinstance(raised, Exception) else raised
            refused = isinstance(error, InputError) and str(error)
            message = str(error) if refused else traceback.format_exc()
            return {"outcome": "refused" if refused else "raised", "message": message}
        guarded = self.kind.guarded is not None and first >= self.kind.guarded
        outcome = "equal" if digest == self.expected else "silent" if guarded and self.expected else "other data"
        return {"outcome": outcome, "message": f"from byte {first}", "digest": digest}


def reset_peak_bytes() -> int:
    """Forgets the peak of this process's memory, and gives what it has now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def peak_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _plain(value: Any) -> str:
    """A text that is equal for equal values."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{_plain(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "(" + ",".join(map(_plain, value)) + ")"
    return repr(value)


@contextmanager
def all_kinds(root: Path) -> Iterator[list[Kind]]:
    """Images of every format and own files of every kind, made in the folder `root`."""
    from benchmarks.fuzz_images import image_kinds
    from benchmarks.fuzz_own import own_kinds

    yield [*image_kinds(root / "images"), *own_kinds(root / "own")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for the files that failed")
    parser.add_argument("--only", default="", help="kinds whose name contains this")
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, all_kinds(Path(folder)) as kinds:
        chosen = [kind for kind in kinds if arguments.only in kind.name]
        report = fuzz(chosen, arguments.seconds, arguments.seed, arguments.processes, arguments.keep)
    print(report.table())
    print(f"\n{report.total} files in {report.seconds:.0f} s, {len(report.failures)} failures")
    for failure in report.failures[:40]:
        print(f"\n{failure}", file=sys.stderr)
    if arguments.json:
        arguments.json.write_text(json.dumps({name: dict(counts) for name, counts in report.counts.items()}))
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
