"""Independent tasks: one rule for failures, wherever they are done."""

import errno
import os
import signal
import time
import traceback

import pytest

from mednca_pipeline.execution.executors import open_executor
from mednca_pipeline.execution.work import Task, WorkersLost, results, run, run_in_order
from mednca_pipeline.runtime.errors import InputError

from .clusters import local_cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with local_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started.address


@pytest.fixture(scope="module", params=["here", "processes", "cluster"])
def executor(request):
    """No test kills a worker of it."""
    address = request.getfixturevalue("cluster") if request.param == "cluster" else None
    with open_executor(2 if request.param == "processes" else 0, address) as opened:
        yield opened


def halved(number):
    """The half of an even number, later the smaller it is."""
    time.sleep(0.3 / (1 + number))
    if number % 2:
        raise InputError(f"{number} is odd")
    return number // 2


def divided(number):
    return 1 / number


def on_a_full_disk():
    raise OSError(errno.ENOSPC, "as the system says", "/data/out")


class Stubborn(Exception):
    """Cannot be unpickled: its constructor wants two arguments."""

    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


def stubborn():
    raise Stubborn("cannot", "travel")


def kill_oneself():
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_error_is_its_tasks_outcome_and_the_others_go_on(executor):
    outcomes = {outcome.task.name: outcome for outcome in run(tasks_of(halved, 0, 1, 4, 3), executor)}
    assert {name: outcome.value for name, outcome in outcomes.items()} == {"0": 0, "1": None, "4": 2, "3": None}
    assert isinstance(outcomes["3"].error, InputError) and str(outcomes["3"].error) == "3 is odd."


def test_a_fault_of_the_environment_is_one_that_the_user_can_correct(executor):
    (outcome,) = run([Task("a", on_a_full_disk)], executor)
    assert isinstance(outcome.error, InputError) and outcome.error.where == "/data/out"
    assert "in on_a_full_disk" in "".join(traceback.format_exception(outcome.error))


def test_outcomes_come_in_the_tasks_order_and_progress_as_they_end(executor):
    seen = []
    outcomes = list(run_in_order(tasks_of(halved, 0, 8, 2), executor, seen.append))
    assert [outcome.value for outcome in outcomes] == [0, 4, 1]
    assert sorted(seen) == ["0", "2", "8"]


def test_an_error_has_the_traceback_of_where_it_was_raised(executor):
    (outcome,) = run(tasks_of(divided, 0), executor)
    text = "".join(traceback.format_exception(outcome.error))
    assert "ZeroDivisionError" in text and "in divided" in text and "return 1 / number" in text
    with pytest.raises(RuntimeError, match="0: ZeroDivisionError: division by zero") as caught:
        outcome.result()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_where_every_part_is_needed_the_first_error_is_raised_with_its_name(executor):
    assert results(tasks_of(halved, 2, 4), executor) == [1, 2]
    with pytest.raises(InputError, match=r"^3: 3 is odd\.$"):
        results(tasks_of(halved, 2, 3), executor)


def test_an_error_that_cannot_travel_takes_no_worker_with_it(executor):
    odd, even = run_in_order([Task("odd", stubborn), *tasks_of(halved, 2)], executor)
    assert "cannot travel" in str(odd.error) and even.value == 1


def test_a_killed_worker_process_is_named_with_what_is_left():
    tasks = [*tasks_of(halved, 8), Task("bad", kill_oneself), Task("next", kill_oneself)]
    with open_executor(1) as executor:
        done, *lost = run(tasks, executor)
    assert done.value == 4 and [outcome.task.name for outcome in lost] == ["bad", "next"]
    assert all(isinstance(outcome.error, WorkersLost) for outcome in lost)
    assert lost[0].error.where == "2 unfinished (bad, next)"
    with pytest.raises(InputError, match="-np 1"):
        lost[0].result()


def test_a_worker_of_a_cluster_that_is_killed_loses_nothing(tmp_path):
    """The one that finds no file makes it and dies; the other finds it."""
    with local_cluster(tmp_path) as started, open_executor(0, started.address) as executor:
        tasks = [Task("deadly", die_once, (str(tmp_path / "tried"),)), *tasks_of(halved, 2, 4)]
        assert [outcome.value for outcome in run_in_order(tasks, executor)] == ["survived", 1, 2]
        assert sum(worker.poll() is not None for worker in started.workers) == 1


def test_without_its_scheduler_all_that_is_left_is_named(tmp_path):
    with local_cluster(tmp_path, 1) as started, open_executor(0, started.address) as executor:
        outcomes = run(
            [*tasks_of(halved, 4), Task("long", time.sleep, (30,)), Task("next", time.sleep, (30,))], executor
        )
        assert next(outcomes).value == 2
        started.processes[0].kill()
        lost = list(outcomes)
    assert {outcome.task.name for outcome in lost} == {"long", "next"}
    assert all(isinstance(outcome.error, WorkersLost) for outcome in lost)
    assert "2 unfinished" in lost[0].error.where


def die_once(file):
    if os.path.exists(file):
        return "survived"
    with open(file, "w", encoding="utf-8"):
        pass
    kill_oneself()


def test_a_negative_number_of_workers_is_refused():
    with pytest.raises(InputError) as caught, open_executor(-1):
        pass
    assert (caught.value.where, caught.value.found) == ("-np", "-1")


def test_a_cluster_that_is_not_there_is_said(monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed (the extra cluster)")
    from mednca_pipeline.execution import executors

    monkeypatch.setattr(executors, "CONNECT_S", 0.5)
    with pytest.raises(InputError, match="--cluster tcp://127.0.0.1:9: expected a Dask scheduler there"):
        with open_executor(0, "tcp://127.0.0.1:9"):
            pass


def tasks_of(function, *numbers):
    return [Task(str(number), function, (number,)) for number in numbers]
