"""Independent tasks and how they ended: one rule for failures, wherever the work is done.

A task's outcome is its value or its error, with the traceback of the process that it was raised in. The other tasks go
on, and the caller decides. Where the work is done is a concurrent.futures.Executor (executors.py), or None: here.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from typing import Any

from ..runtime.errors import InputError, correctable
from ..runtime.listing import listed
from .executors import lost_all, lost_one


@dataclass(frozen=True)
class Task:
    """function(*arguments), both to be pickled. name: for progress and messages."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a task ended: with its value, or with an error: an InputError where the user can correct it."""

    task: Task
    value: Any = None
    error: Exception | None = None

    def result(self) -> Any:
        """The value. Raises the error, naming the task: an InputError as one, any other caused by the original."""
        if self.error is None:
            return self.value
        if isinstance(self.error, WorkersLost):
            raise self.error
        if isinstance(self.error, InputError):
            raise self.error.at(self.task.name) from self.error
        raise RuntimeError(f"{self.task.name}: {type(self.error).__name__}: {self.error}") from self.error


class WorkersLost(InputError):
    """The workers are gone, and with them what they had not done yet."""


class RemoteTraceback(Exception):
    """The cause of an error of another process: its traceback there, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def run(tasks: Sequence[Task], executor: Executor | None = None) -> Iterator[Outcome]:
    """The outcomes of all tasks, as they end. Tasks that have not begun when the caller stops asking never do."""
    if executor is None:
        yield from map(_run_here, tasks)
        return
    from .processes import attempt

    futures = {executor.submit(attempt, task.function, task.arguments): task for task in tasks}
    left = dict.fromkeys(task.name for task in tasks)
    try:
        for future in as_completed(futures):
            outcome = _outcome(futures[future], future, list(left))
            if not isinstance(outcome.error, WorkersLost):
                left.pop(outcome.task.name, None)
            yield outcome
    finally:
        for future in futures:
            future.cancel()


def run_in_order(
    tasks: Sequence[Task], executor: Executor | None = None, progress: Callable[[str], None] = lambda name: None
) -> Iterator[Outcome]:
    """The same in the order of the tasks. progress: called with the name of each as it ends."""
    place = {id(task): index for index, task in enumerate(tasks)}
    ended: dict[int, Outcome] = {}
    following = 0
    for outcome in run(tasks, executor):
        progress(outcome.task.name)
        ended[place[id(outcome.task)]] = outcome
        while following in ended:
            yield ended.pop(following)
            following += 1


def results(
    tasks: Sequence[Task], executor: Executor | None = None, progress: Callable[[str], None] = lambda name: None
) -> list[Any]:
    """The values in the order of the tasks, for work of which every part is needed.

    Raises the first error, as Outcome.result does; what has not begun by then never does.
    """
    return [outcome.result() for outcome in run_in_order(tasks, executor, progress)]


def _run_here(task: Task) -> Outcome:
    try:
        return Outcome(task, task.function(*task.arguments))
    except Exception as error:
        return Outcome(task, error=correctable(error))


def _outcome(task: Task, future: Future, left: Sequence[str]) -> Outcome:
    failure = None if future.cancelled() else future.exception()
    if future.cancelled() or lost_all(failure):
        return Outcome(task, error=_lost(left))
    if lost_one(failure):
        found = "that each worker that tried was lost, often for lack of memory"
        remedy = f"Give the workers more memory, or leave {task.name} out."
        return Outcome(task, error=InputError(expected="a worker that finishes", found=found, remedy=remedy))
    if failure is not None:
        return Outcome(task, error=failure if isinstance(failure, Exception) else RuntimeError(repr(failure)))
    value, error, text = future.result()
    if error is not None:
        error.__cause__ = RemoteTraceback(text)
    return Outcome(task, value, error)


def _lost(left: Sequence[str]) -> WorkersLost:
    return WorkersLost(
        f"{len(left)} unfinished ({listed(left)})",
        "workers for them",
        "that a worker was killed, often for lack of memory, or that the cluster is gone",
        "Run again with fewer workers (-np 1, or -np 0 for none): what is finished is kept.",
    )
