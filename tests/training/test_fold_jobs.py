"""Trainings as processes: order, slots, failures and interruption, with small scripts in place of trainings."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mednca_pipeline.processes import augmenting_workers
from mednca_pipeline.training.fold_jobs import FoldJob, run_jobs

WORK = """
import sys, time, pathlib
log, together = pathlib.Path(sys.argv[1]), int(sys.argv[2])
log.open("a").write("+")
end = time.monotonic() + 20
while log.read_text(encoding="utf-8").count("+") < together and time.monotonic() < end:
    time.sleep(0.02)
log.open("a").write("-")
"""
FAIL = "import sys; print('working'); print('error: fold is broken', file=sys.stderr); sys.exit(2)"


def jobs(tmp_path, count):
    return [FoldJob("mednca", "2d", fold, tmp_path / f"fold_{fold}") for fold in range(count)]


def test_one_after_the_other_or_at_once(tmp_path):
    for slots, expected in ((1, "+-+-"), (2, "++--")):
        stamps = tmp_path / f"stamps{slots}"
        command = [sys.executable, "-c", WORK, str(stamps), str(slots)]
        outcomes = run_jobs(jobs(tmp_path, 2), slots, lambda job, running, command=command: command)
        assert stamps.read_text(encoding="utf-8") == expected
        assert [outcome.code for outcome in outcomes] == [0, 0]


def test_a_failed_job_is_named_with_its_message_and_loses_no_other(tmp_path, capfd):
    ended = []
    outcomes = run_jobs(
        jobs(tmp_path, 3),
        1,
        lambda job, running: [sys.executable, "-c", FAIL if job.fold == 1 else "print('fine')"],
        ended.append,
    )
    assert [(outcome.job.fold, outcome.code) for outcome in outcomes] == [(0, 0), (1, 2), (2, 0)]
    assert outcomes[1].reason == "fold is broken"
    assert ended == outcomes
    assert "error: fold is broken" in capfd.readouterr().err  # and it was shown when it happened


def test_output_of_jobs_at_once_goes_to_a_log_in_the_fold(tmp_path):
    run_jobs(jobs(tmp_path, 1), 2, lambda job, running: [sys.executable, "-c", FAIL])
    text = (tmp_path / "fold_0" / "crossval.log").read_text(encoding="utf-8")
    assert "working" in text
    assert "error: fold is broken" in text


def test_a_waiting_job_starts_when_it_is_ready_and_later_ones_pass_it(tmp_path):
    order = []

    def command_for(job, running):
        if job.fold == 1 and any(other.fold == 0 for other in running):
            return None
        order.append(job.fold)
        return [sys.executable, "-c", f"import time; time.sleep({0.5 if job.fold == 0 else 0})"]

    run_jobs(jobs(tmp_path, 3), 2, command_for)
    assert order == [0, 2, 1]


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_a_killed_job_says_so(tmp_path):
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    (outcome,) = run_jobs(jobs(tmp_path, 1), 1, lambda job, running: [sys.executable, "-c", script])
    assert "signal 9" in outcome.reason


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_lets_its_trainings_save(tmp_path, number):
    training = tmp_path / "training.py"
    training.write_text(
        "import signal, sys, time, pathlib\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "def save(*_):\n    time.sleep(0.3)\n    (folder / 'saved').touch()\n    sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, save)\n(folder / 'started').touch()\ntime.sleep(30)\n",
        encoding="utf-8",
    )
    outer = (
        "import signal, sys, pathlib\nfrom mednca_pipeline.training.fold_jobs import FoldJob, run_jobs\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job would ignore it
        f"job = FoldJob('mednca', '2d', 0, pathlib.Path({str(tmp_path)!r}))\n"
        f"try:\n    run_jobs([job, job], 1, lambda *_: [sys.executable, {str(training)!r}])\n"
        "except KeyboardInterrupt:\n    sys.exit(77)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", outer], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    deadline = time.monotonic() + 20
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(timeout=20) == 77
    assert (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    ("n_cores", "device", "workers"), [(1, "cpu", 0), (2, "cpu", 0), (4, "cpu", 1), (2, "cuda", 1)]
)
def test_augmenting_workers_leave_the_threads_their_cores(n_cores, device, workers):
    assert augmenting_workers(n_cores, device) == workers
