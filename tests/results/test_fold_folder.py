"""The life of a fold's folder, and what each of its files says."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from mednca_pipeline.results import fold_folder
from mednca_pipeline.results.fold_folder import FoldFolder, Origin, fold_name
from mednca_pipeline.results.run_record import RunRecord
from mednca_pipeline.results.summary import CaseResult, Summary, SummaryUnits
from mednca_pipeline.runtime.errors import InputError

ORIGIN = Origin("plans", "cases")
RUN = RunRecord(digest="plans", split="cases", fold=0, iterations=0, seed=3)
METRICS = {"organ": {"dice": 0.5, "hd95": float("inf"), "nsd": 0.25}}
SUMMARY = Summary({"a": CaseResult(METRICS, 1.5)}, METRICS, METRICS, SummaryUnits("mm", "mm^dimensions", 1.0), "policy")
HOLD = """
import sys, pathlib
from mednca_pipeline.results.fold_folder import FoldFolder
with FoldFolder(pathlib.Path(sys.argv[1])).only_writer():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def fold(tmp_path):
    return FoldFolder(tmp_path / "mednca_2d" / "fold_0")


class Holder:
    """Another process that holds the fold's lock."""

    def __init__(self, fold):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", HOLD, str(fold.path)]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self):
        assert self.process.stdout.readline() == "held\n"
        return self.process

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def test_the_life_of_a_fold(fold):
    assert fold.state(ORIGIN) == "new"
    fold.begin(RUN)
    assert fold.state(ORIGIN) == "timing"
    fold.begin(RUN)  # killed, and begun again
    assert fold.state(ORIGIN) == "timing"
    running = RunRecord(digest="plans", split="cases", fold=0, iterations=20, seed=3)
    fold.write_run(running)
    fold.checkpoint.write_bytes(b"")
    with Holder(fold):
        assert fold.state(ORIGIN) == "running"
        with pytest.raises(InputError, match="another process that trains or validates"):
            with fold.only_writer(wait_s=0):
                pass
    assert fold.state(ORIGIN) == "resumable"  # the system freed the lock of the process that was killed
    with fold.only_writer():
        assert fold.state() == "running"
        fold.weights.write_bytes(b"")
        fold.write_run(RunRecord(finished=True, digest="plans", split="cases", fold=0, iterations=20))
    assert fold.state(ORIGIN) == "trained"
    fold.write_summary(SUMMARY)
    assert fold.state(ORIGIN) == "validated" and fold.is_validated()
    assert fold.state(Origin("other plans", "cases")) == fold.state(Origin("plans", "other cases")) == "foreign"
    fold.begin(RUN)
    assert fold.state(ORIGIN) == "timing"
    assert {path.name for path in fold.path.iterdir()} == {"run.json", ".lock"}


def test_killed_while_it_removes_a_former_training_a_fold_is_not_taken_for_that(fold, monkeypatch):
    fold.write_run(RunRecord(finished=True, digest="plans", split="cases", fold=0, iterations=20, seed=1))
    for file in (fold.checkpoint, fold.weights, fold.curve):
        file.write_bytes(b"")
    fold.validation.mkdir()
    fold.write_summary(SUMMARY)

    def killed(*_, **__):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(fold_folder.Path, "unlink", killed)
        with pytest.raises(RuntimeError):
            fold.begin(RUN)
    assert fold.checkpoint.exists() and fold.state(ORIGIN) == "timing" and fold.run().seed == 3


def killed_at(number, monkeypatch):
    """Makes the change `number` of the disk, counted from 0, the end of the process."""
    count = iter(range(10**6))
    for place, name in ((os, "replace"), (fold_folder.Path, "unlink"), (fold_folder.shutil, "rmtree")):
        real = getattr(place, name)

        def change(*arguments, real=real, **options):
            if next(count) >= number:
                raise RuntimeError("killed")
            return real(*arguments, **options)

        monkeypatch.setattr(place, name, change)


@pytest.mark.parametrize("number", range(12))
def test_killed_at_any_point_of_a_beginning_a_fold_is_the_former_one_or_a_new_one(fold, monkeypatch, number):
    old = RunRecord(finished=True, digest="plans", split="cases", fold=0, iterations=20, seed=1)
    fold.write_run(old)
    made = (fold.checkpoint, fold.weights, fold.best_weights, fold.curve)
    for file in made:
        file.write_bytes(b"")
    fold.validation.mkdir()
    fold.write_summary(SUMMARY)
    with monkeypatch.context() as patched:
        killed_at(number, patched)
        try:
            fold.begin(RUN)
        except RuntimeError:
            pass
        else:
            assert number > 8  # two records, six files and a folder
    if fold.state(ORIGIN) == "validated":
        assert fold.run() == old and all(file.exists() for file in made) and fold.validation.is_dir()
        assert fold.has_final_weights()
    else:
        assert fold.state(ORIGIN) == "timing" and fold.run().seed == 3 and not fold.has_final_weights()


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system cannot refuse links")
def test_a_lock_that_cannot_be_opened_is_named(fold, tmp_path):
    fold.path.mkdir(parents=True)
    (tmp_path / "diary").write_text("mine")
    (fold.path / ".lock").symlink_to(tmp_path / "diary")
    with pytest.raises(InputError, match=r"\.lock: expected the lock of this fold, found that it cannot be opened"):
        with fold.only_writer(wait_s=0):
            pass
    assert (tmp_path / "diary").read_text(encoding="utf-8") == "mine"


def test_an_unfinished_training_without_its_checkpoint_is_new(fold):
    fold.write_run(RunRecord(digest="plans", split="cases", iterations=20))
    fold.curve.write_text("epoch\n", encoding="utf-8")
    assert fold.state(ORIGIN) == "new"


def test_the_fold_all_is_of_any_split_and_stays_trained(tmp_path):
    fold = FoldFolder(tmp_path / "fold_all")
    fold.write_run(RunRecord(finished=True, digest="plans", split="whatever", fold="all"))
    assert fold.state(ORIGIN) == "trained" and fold.state(Origin("others", "")) == "foreign"


def test_records_come_back_as_they_were_written(fold):
    run = RunRecord(finished=True, digest="plans", iterations=7, training_minutes=2, versions={"torch": "2"})
    fold.write_run(run)
    assert fold.run() == run
    assert "members" not in fold.run_file.read_text(encoding="utf-8")
    raw = replace(SUMMARY, cases={"a": CaseResult(METRICS, raw=METRICS)}, raw_mean=METRICS, components={"organ": 1})
    for summary in (SUMMARY, raw):
        fold.write_summary(summary)
        assert fold.summary() == summary
    assert raw.raw_means == METRICS and SUMMARY.cases["a"].raw_classes == METRICS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "run.json: expected valid JSON"),
        ('{"schema": 9}', "run.json: expected schema 1, found 9"),
        ('{"schema": 1, "iterations": "many"}', "run.json: iterations: expected a whole number, found 'many'"),
        ('{"schema": 1, "itterations": 3}', "run.json: expected the fields .* found itterations"),
    ],
)
def test_a_damaged_run_is_named_with_its_field(fold, text, message):
    fold.path.mkdir(parents=True)
    fold.run_file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        fold.state()


def test_a_damaged_summary_is_named_with_its_field(fold):
    fold.write_summary(SUMMARY)
    text = fold.summary_file.read_text(encoding="utf-8").replace('"dice": 0.5', '"dice": "good"', 1)
    fold.summary_file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"summary.json: cases.a.classes.organ.dice: expected a number, found 'good'"):
        fold.summary()


@pytest.mark.parametrize(
    ("given", "expected"), [("0", 0), ("fold0", 0), ("fold_3", 3), (2, 2), ("all", "all"), ("fold_all", "all")]
)
def test_any_form_of_a_fold_is_accepted(given, expected):
    assert fold_name(given) == expected


@pytest.mark.parametrize("given", ["", "-1", "first", "fold", "1.5", "0 1"])
def test_other_folds_are_refused(given):
    with pytest.raises(InputError, match="expected a number such as 0"):
        fold_name(given)
