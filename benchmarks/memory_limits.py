"""Runs a command in a process of its own under a memory limit, and says what it took.

The limit is a memory cgroup where this user may make one, which counts all memory of the process; else RLIMIT_DATA,
which counts its heap and private mappings. Only the standard library is imported here: the peak that the system reports
for a child is never below that of the process that started it.
"""

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MB = 10**6
_ROOTS = {  # folder of the controller, by the name of the limit and of the limit that swap falls under, too
    Path("/sys/fs/cgroup/memory"): ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    Path("/sys/fs/cgroup"): ("memory.max", "memory.swap.max"),
}


@dataclass(frozen=True)
class Ran:
    """done: whether it ended well. wall_s: from its start to its end. cpu_s: user and system. peak_mb: resident."""

    done: bool
    wall_s: float
    cpu_s: float
    peak_mb: float
    said: str = ""


def run(command: Sequence[str], env: dict[str, str], cwd: Path, limit_mb: int | None = None, timeout_s=120.0) -> Ran:
    """A command that takes longer than timeout_s has not ended well."""
    with _limited(limit_mb) as prepare, (cwd / "said.txt").open("w+") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=env, cwd=cwd, preexec_fn=prepare, stdout=said, stderr=said)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() - start > timeout_s:
                process.kill()
            time.sleep(0.005)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        cpu_s = usage.ru_utime + usage.ru_stime
        return Ran(process.returncode == 0, wall_s, cpu_s, usage.ru_maxrss * 1024 / MB, said.read()[-2000:])


def kind_of_limit() -> str:
    with _group() as group:
        return "a memory cgroup" if group else "RLIMIT_DATA"


@contextmanager
def _limited(limit_mb: int | None) -> Iterator:
    """What the child calls before its command begins."""
    if limit_mb is None:
        yield None
        return
    with _group() as group:
        if group is None:
            yield lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit_mb * MB, limit_mb * MB))
            return
        memory, swap = _ROOTS[group.parent]
        (group / memory).write_text(str(limit_mb * MB))
        with contextlib.suppress(OSError):  # not every system counts swap
            (group / swap).write_text("0" if swap.endswith("max") else str(limit_mb * MB))
        procs = str(group / "cgroup.procs")
        yield lambda: Path(procs).write_text(str(os.getpid()))


@contextmanager
def _group() -> Iterator[Path | None]:
    """A memory cgroup of our own; None where this user may make none."""
    for root, (memory, _) in _ROOTS.items():
        group = root / f"mednca_{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if os.access(group / memory, os.W_OK):
                yield group
                return
        finally:
            _remove(group)
    yield None


def _remove(group: Path) -> None:
    for _ in range(50):  # until the system has seen that its processes are gone
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.02)
