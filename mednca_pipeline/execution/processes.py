"""Background worker processes: spawned, single-threaded, deaf to Ctrl-C, gone when their parent is."""

import contextlib
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
TERMINATION_GRACE_S = 5.0  # a job scheduler signals workers and parent alike: the parent shall save first
DONE, OUR_FAULT, INPUT_FAULT, INTERRUPTED = 0, 1, 2, 130  # exit codes of every command and job
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


def worker_pool(workers: int) -> ProcessPoolExecutor:
    """A pool of `workers` (at least 1) spawned processes. Nothing is shared but pickled arguments and results."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=prepare_worker)


def prepare_worker() -> None:
    """Run once in every worker: one thread each, signals left to the parent, no life after the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _exit_later)
    threading.Thread(target=_exit_after_parent, daemon=True).start()
    for name in THREAD_VARIABLES:  # for libraries that are loaded from now on
        os.environ[name] = "1"
    with contextlib.suppress(ModuleNotFoundError):  # libraries that the light installation does without
        import blosc2
        from threadpoolctl import threadpool_limits

        blosc2.set_nthreads(1)
        threadpool_limits(1)  # for libraries that are loaded already


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
