"""One function over many cases, in this process or in workers, with errors that name their case."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ..processes import worker_pool
from ..runtime.errors import InputError
from .dataset import Case, Dataset

Task = tuple[Callable[[Case, Dataset], Any], Case]


def run_in_order(tasks: Sequence[Task], facts: Dataset, workers: int, progress: Callable[[str], None]) -> list[Any]:
    """The results of function(case, facts) of all tasks, in their order. `progress` is called with each case's name.

    workers: processes that share the work, each with one case in memory; 0 is this process. An unexpected error names
    its case and keeps the worker's own traceback. Raises InputError naming the cases that a killed worker left.
    """
    done: dict[int, Any] = {}
    for index, result in _parallel(tasks, facts, workers) if workers else _in_process(tasks, facts):
        done[index] = result
        progress(tasks[index][1].name)
    return [done[index] for index in range(len(tasks))]


def _in_process(tasks: Sequence[Task], facts: Dataset) -> Iterator[tuple[int, Any]]:
    for index, (function, case) in enumerate(tasks):
        try:
            result = function(case, facts)
        except Exception as error:
            raise _named(case, error) from error
        yield index, result


def _parallel(tasks: Sequence[Task], facts: Dataset, workers: int) -> Iterator[tuple[int, Any]]:
    pool = worker_pool(max(1, min(workers, len(tasks))))
    left = {case.name for _, case in tasks}
    try:
        futures = {pool.submit(function, case, facts): index for index, (function, case) in enumerate(tasks)}
        for future in as_completed(futures):
            case = tasks[futures[future]][1]
            try:
                result = future.result()
            except BrokenProcessPool as error:
                raise _killed(left) from error
            except Exception as error:
                raise _named(case, error) from error
            left.discard(case.name)
            yield futures[future], result
    finally:
        pool.shutdown(cancel_futures=True)


def _named(case: Case, error: Exception) -> Exception:
    if isinstance(error, InputError):
        return error.at(f"Case {case.name}")
    return RuntimeError(f"Case {case.name}: {type(error).__name__}: {error}")


def _killed(left: Iterable[str]) -> InputError:
    names = sorted(left)
    return InputError(
        "A worker process was killed, often for lack of memory",
        found=f"{len(names)} cases left, {', '.join(names[:5])} among them",
        remedy="Run again with fewer workers (-np 1, or -np 0 for none).",
    )
