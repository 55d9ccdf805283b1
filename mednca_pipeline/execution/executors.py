"""Where work is done, each as a concurrent.futures.Executor: local processes, threads that wait, or a Dask cluster."""

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from ..runtime.errors import InputError

if TYPE_CHECKING:
    from .processes import WorkerPool

P = ParamSpec("P")
T = TypeVar("T")
CONNECT_S = 15
LOST_BY_ALL = ("FutureCancelledError", "CommClosedError")  # of distributed


class Stop(Protocol):
    """Asks running work to end early. Sent along with the work."""

    def is_set(self) -> bool: ...

    def set(self) -> None: ...


class Waiters(ThreadPoolExecutor):
    """Threads of this process, for work that each waits for a process of its own."""

    def stop(self) -> Stop:
        return threading.Event()


class Cluster(Executor):
    """The workers of a Dask scheduler, which may come and go: what a lost worker was doing is done by another.

    They import the same mednca_pipeline and see the workspace under the same path.
    """

    def __init__(self, address: str) -> None:
        """address: of the scheduler, such as tcp://HOST:8786. Raises InputError when it cannot be reached."""
        from distributed import Client

        try:
            self._client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            remedy = "Start one with dask scheduler, and give the address that it prints."
            raise InputError(f"--cluster {address}", "a Dask scheduler there", f"none ({error})", remedy) from error
        self._executor = self._client.get_executor(pure=False)

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return self._executor.submit(function, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._executor.shutdown(wait=wait and not cancel_futures)
        self._client.close()

    def stop(self) -> Stop:
        from distributed import Event

        return Event(f"mednca-stop-{uuid.uuid4().hex}", client=self._client)


def check_workers(workers: int) -> None:
    """Raises InputError for fewer than 0."""
    if workers < 0:
        raise InputError("-np", "0 or more worker processes", str(workers))


@contextmanager
def open_executor(workers: int = 0, cluster: str | None = None) -> Iterator[Executor | None]:
    """The cluster at an address, else so many local processes, else None: this process.

    On the way out, what has not begun never does, and what runs is waited for; on Ctrl-C, SIGTERM and SIGHUP local
    processes end at once. Raises InputError for fewer than 0.
    """
    check_workers(workers)
    pool = _pool(workers) if workers and not cluster else None
    executor = Cluster(cluster) if cluster else pool
    try:
        yield executor
    except KeyboardInterrupt:
        if pool:
            pool.end()
        raise
    finally:
        if executor:
            executor.shutdown(cancel_futures=True)


def _pool(workers: int) -> "WorkerPool":
    from .processes import WorkerPool  # slow to import, and most commands of one case do without

    return WorkerPool(workers)


@contextmanager
def open_waiters(count: int, cluster: str | None = None) -> Iterator[Waiters | Cluster]:
    """For work that waits for processes of its own: so many threads here, or a cluster's."""
    executor = Cluster(cluster) if cluster else Waiters(count)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def lost_all(error: BaseException | None) -> bool:
    """Whether this says that no worker is left for anything."""
    return isinstance(error, BrokenExecutor) or type(error).__name__ in LOST_BY_ALL


def lost_one(error: BaseException | None) -> bool:
    """Whether this says that the workers that tried one task were lost each time."""
    return type(error).__name__ == "KilledWorker"
