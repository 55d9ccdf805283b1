"""The process of a job: what it does of a fold in each state, what it says of its end, when its parent is gone."""

import dataclasses
import os
import subprocess
import sys
import time

import pytest
import torch

from mednca_pipeline.crossval.jobs import FoldJob, read_outcome
from mednca_pipeline.crossval.run_job import main
from mednca_pipeline.runtime.files import write_json
from mednca_pipeline.training import fold as training
from mednca_pipeline.training import loop

from ..phantom_workspaces import linked_workspace
from ..training.trainings import interrupt_at

pytestmark = pytest.mark.slow

ITERATIONS = 4


@pytest.fixture
def job(phantom_workspace, tmp_path):
    """A new fold in a workspace of its own."""
    linked_workspace(phantom_workspace, tmp_path)
    made = FoldJob(str(tmp_path), "Dataset001_Phantom", "mednca", "2d", 0, iterations=ITERATIONS, workers=0, quiet=True)
    return dataclasses.replace(made, command="mednca_crossval 1", id="this one")


def outcome_of(job):
    write_json(job.folder.job_file, job)
    code = main([str(job.folder.job_file)])
    return code, read_outcome(job.folder.outcome_file)


def test_timing_says_the_count_and_changes_nothing(job, monkeypatch):
    asked = []
    monkeypatch.setattr(
        training, "time_iterations", lambda workspace, job, budget_s, watch: asked.append(budget_s) or 7
    )
    timing = dataclasses.replace(job, action="time", iterations=None, budget_s=90.0)
    code, outcome = outcome_of(timing)
    assert (code, outcome.state, outcome.iterations, outcome.id, asked) == (0, "done", 7, "this one", [90.0])
    assert {path.name for path in job.folder.path.iterdir()} == {"job.json", "outcome.json", ".lock"}
    assert job.folder.state() == "new"


def test_one_job_begins_continues_and_validates(job, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(loop, "train_step", interrupt_at(2))
        code, outcome = outcome_of(job)
    assert (code, outcome.state) == (143, "interrupted") and "Stopped at iteration 2 of 4" in outcome.error
    assert job.folder.state() == "resumable"
    code, outcome = outcome_of(job)
    assert (code, outcome.state, outcome.error) == (0, "done", "") and outcome.minutes > 0
    run = job.folder.run()
    assert job.folder.is_validated() and (run.iterations, run.command) == (ITERATIONS, "mednca_crossval 1")
    weights = job.folder.weights.read_bytes()
    job.folder.summary_file.unlink()
    assert job.folder.state() == "trained"
    assert outcome_of(job)[0] == 0
    assert job.folder.is_validated() and job.folder.weights.read_bytes() == weights


def test_the_cores_of_a_machine_are_shared(job, monkeypatch):
    from mednca_pipeline.crossval import run_job

    monkeypatch.setattr(run_job, "cores", lambda: 4)
    before = torch.get_num_threads()
    try:
        assert outcome_of(dataclasses.replace(job, share=2, iterations=1))[0] == 0
    finally:
        torch.set_num_threads(before)
    assert job.folder.run().threads == 2


def test_a_fault_of_the_input_and_one_of_ours_are_told_apart(job, monkeypatch, capsys):
    code, outcome = outcome_of(dataclasses.replace(job, model="unett"))
    assert (code, outcome.state, outcome.fault) == (2, "failed", "input") and "unett" in outcome.error
    assert "error: " in capsys.readouterr().err

    def breaks(*_):
        raise ValueError("something odd")

    monkeypatch.setattr(loop, "train_step", breaks)
    code, outcome = outcome_of(job)
    assert (code, outcome.state, outcome.fault) == (1, "failed", "ours")
    assert outcome.error == "ValueError: something odd" and "in breaks" in capsys.readouterr().err


PARENT = """
import subprocess, sys
subprocess.Popen([sys.executable, "-m", "mednca_pipeline.crossval.run_job", sys.argv[1]], start_new_session=True).wait()
"""


@pytest.mark.skipif(os.name != "posix", reason="a process whose parent ended has another one on POSIX alone")
def test_it_saves_and_ends_when_its_parent_is_gone(job):
    long = dataclasses.replace(job, iterations=5000)
    write_json(long.folder.job_file, long)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(long.folder.job_file)], env=environment)
    wait_until(long.folder.checkpoint.exists)
    parent.kill()
    parent.wait()
    wait_until(lambda: long.folder.state() == "resumable")
    wait_until(long.folder.outcome_file.exists)
    assert read_outcome(long.folder.outcome_file).state == "interrupted"


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
