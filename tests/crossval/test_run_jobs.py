"""Jobs as processes: order, slots, failures and interruption, with small scripts in place of trainings."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mednca_pipeline.crossval.jobs import FoldJob, JobOutcome, read_job
from mednca_pipeline.crossval.run_jobs import Where, run_jobs

HEAD = """
import json, pathlib, sys, time
file = pathlib.Path(sys.argv[1])
job = json.loads(file.read_text(encoding="utf-8"))
root, fold = pathlib.Path(job["root"]), job["fold"]
def end(state="done", **more):
    outcome = dict(schema=1, id=job["id"], state=state, **more)
    file.with_name("outcome.json").write_text(json.dumps(outcome), encoding="utf-8")
"""
WORK = """
stamps, together = root / "stamps", {together}
stamps.open("a").write("+")
until = time.monotonic() + 20
while stamps.read_text(encoding="utf-8").count("+") < together and time.monotonic() < until:
    time.sleep(0.02)
stamps.open("a").write("-")
end()
"""
FAIL = """
print("working")
end("failed", error="fold is broken", fault="input") if fold == 1 else end()
"""


def jobs(tmp_path, count):
    return [FoldJob(str(tmp_path), "Dataset001_Phantom", "mednca", "2d", fold) for fold in range(count)]


def where(tmp_path, script, at_once=1):
    """Runs jobs with a script, after HEAD."""
    runner = tmp_path / "runner.py"
    runner.write_text(HEAD + script, encoding="utf-8")
    return Where(at_once, runner=(str(runner),))


def ended(jobs, where):
    """{fold: its outcome}, in the order of their ends."""
    found = {}
    run_jobs(jobs, where, lambda job, outcome: found.update({job.fold: outcome}))
    return found


@pytest.mark.parametrize(("at_once", "stamps"), [(1, "+-+-"), (2, "++--")])
def test_one_after_the_other_or_at_once(tmp_path, at_once, stamps):
    outcomes = ended(jobs(tmp_path, 2), where(tmp_path, WORK.format(together=at_once), at_once))
    assert (tmp_path / "stamps").read_text(encoding="utf-8") == stamps
    assert [outcome.state for outcome in outcomes.values()] == ["done", "done"]


def test_a_failed_job_is_named_with_its_error_and_loses_no_other(tmp_path, capfd):
    outcomes = ended(jobs(tmp_path, 3), where(tmp_path, FAIL))
    assert [(fold, outcome.state) for fold, outcome in outcomes.items()] == [(0, "done"), (1, "failed"), (2, "done")]
    assert (outcomes[1].error, outcomes[1].fault) == ("fold is broken", "input")
    assert capfd.readouterr().out == "working\n" * 3  # shown when it happened


def test_output_of_jobs_at_once_goes_to_a_log_in_the_fold(tmp_path, capfd):
    (job,) = jobs(tmp_path, 1)
    ended([job], where(tmp_path, FAIL, at_once=2))
    assert job.folder.job_log.read_text(encoding="utf-8") == "working\n"
    assert capfd.readouterr().out == ""


def test_the_job_file_is_the_job(tmp_path):
    (job,) = jobs(tmp_path, 1)
    ended([job], where(tmp_path, "end()"))
    read = read_job(job.folder.job_file)
    assert read.id and FoldJob(**{**vars(read), "id": ""}) == job


def test_an_outcome_of_an_earlier_process_does_not_count(tmp_path):
    (job,) = jobs(tmp_path, 1)
    ended([job], where(tmp_path, "end()"))
    (outcome,) = ended([job], where(tmp_path, "sys.exit(3)")).values()
    assert outcome.state == "failed" and "exit code 3" in outcome.error and outcome.fault == "ours"


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_a_killed_job_says_so(tmp_path):
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    (outcome,) = ended(jobs(tmp_path, 1), where(tmp_path, script)).values()
    assert "signal 9" in outcome.error


def test_a_job_that_was_interrupted_by_itself_interrupts_all(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        ended(jobs(tmp_path, 2), where(tmp_path, 'end("interrupted")'))
    assert not jobs(tmp_path, 2)[1].folder.run_file.exists()


SAVES = """
import signal
def save(*_):
    time.sleep(0.3)
    (root / "saved").touch()
    end("interrupted")
    sys.exit(130)
signal.signal(signal.SIGTERM, save)
(root / "started").touch()
time.sleep(30)
"""
OUTER = """
import pathlib, signal, sys
from mednca_pipeline.crossval.jobs import FoldJob
from mednca_pipeline.crossval.run_jobs import Where, run_jobs
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and nohup this one
root, runner = sys.argv[1:]
jobs = [FoldJob(root, "Dataset001_Phantom", "mednca", "2d", fold) for fold in (0, 1)]
try:
    run_jobs(jobs, Where(runner=(runner,)), lambda job, outcome: None)
except KeyboardInterrupt:
    sys.exit(77)
"""


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interrupted_run_lets_its_trainings_save(tmp_path, name):
    (runner,) = where(tmp_path, SAVES).runner
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", OUTER, str(tmp_path), runner], env=environment)
    deadline = time.monotonic() + 30
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    assert process.wait(timeout=20) == 77
    assert (tmp_path / "saved").exists()
    assert not (tmp_path / "results" / "Dataset001_Phantom" / "mednca_2d" / "fold_1").exists()


def test_outcomes_are_checked_when_they_are_read(tmp_path):
    (job,) = jobs(tmp_path, 1)
    script = 'file.with_name("outcome.json").write_text(json.dumps(dict(schema=1, id=job["id"], state="fine")))'
    (outcome,) = ended([job], where(tmp_path, script)).values()
    assert "state: expected 'done' or 'failed' or 'interrupted', found 'fine'" in outcome.error
    assert json.loads(job.folder.job_file.read_text(encoding="utf-8"))["action"] == "train"
    assert isinstance(outcome, JobOutcome) and outcome.fault == "input"
