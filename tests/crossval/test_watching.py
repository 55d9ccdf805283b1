"""How far folds are that other processes train, read from their files."""

import os
import threading
import time

import pytest

from mednca_pipeline.cli.fold_bars import FoldBars
from mednca_pipeline.crossval.jobs import FoldJob
from mednca_pipeline.crossval.watching import Averaging, Standing, running, standing, watching
from mednca_pipeline.execution import progress
from mednca_pipeline.results.run_record import RunRecord
from mednca_pipeline.runtime.files import write_text


@pytest.fixture
def job(tmp_path):
    return FoldJob(str(tmp_path), "Dataset004_Tiny", "mednca", "2d", 0)


def test_a_fold_is_timed_then_trained_then_validated(job):
    name = "mednca_2d fold 0"
    assert standing(job) == Standing(name, "timing")
    job.folder.path.mkdir(parents=True)
    job.folder.write_run(RunRecord(finished=False, fold=0, iterations=200))
    assert standing(job) == Standing(name, "training", 0, 200)
    write_text(job.folder.curve, "epoch,iteration\n0,20\n1,40\n")
    assert standing(job) == Standing(name, "training", 40, 200)
    write_text(job.folder.curve, "epoch,iteration\n9,200\n")
    job.folder.validation.mkdir()
    (job.folder.validation / "a.nii.gz").touch()
    assert standing(job) == Standing(name, "validating", 1)


def test_what_runs_has_begun_now_and_not_ended(job):
    assert running([job], 0) == []
    write_text(job.folder.job_file, "{}")
    assert running([job], time.time() - 60) == [job] and running([job], time.time() + 60) == []
    write_text(job.folder.outcome_file, "{}")
    os.utime(job.folder.job_file, (time.time() - 5,) * 2)
    assert running([job], time.time() - 60) == []


def test_it_is_told_while_the_work_goes_on(job, monkeypatch):
    monkeypatch.setattr("mednca_pipeline.crossval.watching.POLL_S", 0.01)
    told, seen = threading.Event(), []

    class Watch:
        def folds(self, standings):
            seen.append([each.name for each in standings])
            told.set()

    write_text(job.folder.job_file, "{}")
    with watching([job], Watch()):
        assert told.wait(10)
    assert seen[0] == ["mednca_2d fold 0"] and seen[-1] == []


def test_without_a_terminal_all_folds_are_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    with FoldBars(quiet=False) as bars:
        bars.folds([Standing("mednca_2d fold 0", "training", 40, 200), Standing("unet_small_2d fold 0", "timing")])
        bars.folds([Standing("mednca_2d fold 0", "validating", 3)])
        bars.concludes(2)
    assert capsys.readouterr().out.splitlines() == [
        "mednca_2d fold 0 training 40 of 200; unet_small_2d fold 0 timing",
        "mednca_2d fold 0 validating 3",
    ]


def test_the_averaging_of_a_fold_is_told_as_it_goes_on():
    class Heard:
        def folds(self, standings):
            told.extend(standings)

    told = []
    watch = Averaging("a + b fold 0", Heard())
    watch.begins("Measuring validation cases", 3)
    watch.advances(2)
    assert told == [Standing("a + b fold 0", "measuring validation cases", done, 3) for done in (0, 2)]
