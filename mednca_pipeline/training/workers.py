"""A training's batches in order, made in this process or ahead of time by background workers."""

from collections import deque
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache

from ..execution.processes import WorkerPool
from ..runtime.errors import InputError
from ..training.batches import Batch, BatchRecipe, Sampler


class BatchSource:
    """Iterator over the batches of `recipe` from `start_iteration` on, without an end; the same for any `workers`.

    workers: number of processes, each two batches ahead; 0 makes each batch here, when it is asked for. What a worker
    raises is raised here, caused by the worker's own traceback. Use it as a context manager, or close() it.
    """

    def __init__(self, recipe: BatchRecipe, start_iteration: int = 0, workers: int = 0) -> None:
        self._recipe = recipe
        self._next = start_iteration  # the next iteration to be handed out (no workers) or to be submitted
        self._sampler = Sampler(recipe) if workers == 0 else None
        self._pool = WorkerPool(workers) if workers else None
        self._ahead = 2 * workers
        self._waiting: deque[Future] = deque()

    def __iter__(self) -> "BatchSource":
        return self

    def __next__(self) -> Batch:
        if self._sampler is not None:
            self._next += 1
            return self._sampler.batch(self._next - 1)
        if self._pool is None:
            raise StopIteration
        try:
            while len(self._waiting) < self._ahead:
                self._waiting.append(self._pool.submit(_worker_batch, self._recipe, self._next))
                self._next += 1
            return self._waiting.popleft().result()
        except BrokenProcessPool as error:
            raise InputError(
                "augmentation",
                found="that a background worker was killed, often for lack of memory",
                remedy="Train with fewer workers, or with none: --workers 0.",
            ) from error

    def __enter__(self) -> "BatchSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the workers, after at most the batches that they are making. No more batches come afterwards."""
        self._sampler = None
        self._waiting.clear()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _worker_batch(recipe: BatchRecipe, iteration: int) -> Batch:
    return _worker_sampler(recipe).batch(iteration)


@lru_cache(maxsize=1)
def _worker_sampler(recipe: BatchRecipe) -> Sampler:
    return Sampler(recipe)  # once per worker process, which knows one recipe only
