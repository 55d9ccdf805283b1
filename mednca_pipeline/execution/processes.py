"""Background worker processes: spawned, single-threaded, deaf to Ctrl-C, gone when their parent is."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from types import FrameType
from typing import Any

from ..runtime.errors import correctable
from .signals import Stopped

PLAIN = (str, int, float, type(None), list, tuple)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
TERMINATION_GRACE_S = 5.0  # a job scheduler signals workers and parent alike: the parent shall save first
END_TASK = getattr(signal, "SIGUSR1", None)  # ends the task of a worker of ours
END_S = 10.0  # in which a worker must have ended
MOST_WORKERS = 6  # more do not make a GPU wait less


def cores() -> int:
    """Processors that this process may use: fewer than the machine's under taskset or a job scheduler."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def augmenting_workers(n_cores: int, device_type: str) -> int:
    """How many processes shall augment beside a training that has `n_cores` for itself.

    Threads that share a core with a worker wait for one another, so with two cores the training augments by itself.
    """
    if device_type == "cpu":
        return int(n_cores > 2)
    return min(n_cores - 1, MOST_WORKERS)


class WorkerPool(ProcessPoolExecutor):
    """So many (at least 1) spawned processes. Nothing is shared but pickled arguments and results."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers, mp_context=multiprocessing.get_context("spawn"), initializer=prepare_worker)

    def end(self) -> None:
        """Ends what the workers are doing, and them. Their tasks see an exception, and so remove what is temporary."""
        processes = list((self._processes or {}).values())
        self.shutdown(wait=False, cancel_futures=True)
        deadline_s = time.monotonic() + END_S
        while alive := [process for process in processes if process.pid and process.is_alive()]:
            for process in alive:
                if time.monotonic() > deadline_s:
                    process.kill()
                elif END_TASK and process.pid:  # again and again: a task that waited in the pool's queue may have begun
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, END_TASK)
            time.sleep(0.05)


def prepare_worker() -> None:
    """Run once in every worker: one thread each, signals left to the parent, no life after the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _exit_later)
    if END_TASK:
        signal.signal(END_TASK, _end_task)
    threading.Thread(target=_exit_after_parent, daemon=True).start()
    for name in THREAD_VARIABLES:  # for libraries that are loaded from now on
        os.environ[name] = "1"
    with contextlib.suppress(ModuleNotFoundError):  # libraries that the light installation does without
        import blosc2
        from threadpoolctl import threadpool_limits

        blosc2.set_nthreads(1)
        threadpool_limits(1)  # for libraries that are loaded already


def _end_task(number: int, frame: FrameType | None) -> None:
    """Raises Stopped in a task; a worker that waits for one is ended by its pool."""
    while frame is not None:
        if frame.f_code is attempt.__code__:
            raise Stopped(number)
        frame = frame.f_back


def attempt(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Exception | None, str]:
    """In a worker: (value, error, traceback) of a task."""
    try:
        return function(*arguments), None, ""
    except Exception as error:
        return None, _sendable(correctable(error)), traceback.format_exc()


def _sendable(error: Exception) -> Exception:
    """The error, or a plain one of its text: one that cannot be made from its arguments would end the whole pool."""
    try:
        if all(isinstance(argument, PLAIN) for argument in (*error.args, *vars(error).values())):
            type(error)(*error.args)
            return error
    except Exception:
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")


def _exit_later(*_: object) -> None:
    timer = threading.Timer(TERMINATION_GRACE_S, os._exit, (1,))
    timer.daemon = True  # no reason to stay where the parent closes the pool before
    timer.start()


def _exit_after_parent() -> None:
    # An idle pool worker never notices by itself that its parent was killed: it holds both ends of its queue's pipe.
    parent = multiprocessing.parent_process()
    assert parent  # a worker has one
    parent.join()
    os._exit(1)
