"""Forged bundles are refused or predict, and the fuzzer would see anything else."""

import os

import pytest

from benchmarks import fuzz_bundles
from benchmarks.forgeries import read_original
from mednca_pipeline.inference.bundle_model import BundleModel
from mednca_pipeline.inference.installed import SHIPPED
from mednca_pipeline.runtime.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

SECONDS = float(os.environ.get("MEDNCA_FUZZ_S", "10"))  # .ci/run: 60


@pytest.mark.slow
def test_forged_bundles_are_refused_or_predict():
    report = fuzz_bundles.fuzz_bundles(SECONDS, seed=1)
    assert report.failures == []
    assert report.counts["refused"] > 20 and report.counts["read and predicted with"] > 5


def test_the_original_predicts_and_what_is_cut_off_is_refused(tmp_path):
    content = read_original(SHIPPED / "phantom.mednca").zipped()
    assert fuzz_bundles.outcome_of(content, tmp_path / "a.mednca") == "read and predicted with"
    assert fuzz_bundles.outcome_of(content[:-30], tmp_path / "a.mednca") == "refused"


OPEN = BundleModel.open


def opens(monkeypatch, does):
    """Does something before a bundle is opened."""
    monkeypatch.setattr(BundleModel, "open", classmethod(lambda cls, path: does(path) or OPEN(path)))


def test_another_error_a_written_file_and_silence_are_failures(monkeypatch, tmp_path):
    content = read_original(SHIPPED / "phantom.mednca").zipped()
    opens(monkeypatch, lambda path: 1 / 0)
    assert "ZeroDivisionError" in fuzz_bundles.fuzz_bundles(0, seed=1).failures[0]
    opens(monkeypatch, lambda path: (path.parent / "x").touch())
    with pytest.raises(AssertionError, match="a file was written"):
        fuzz_bundles.outcome_of(content, tmp_path / "a.mednca")
    (tmp_path / "x").unlink()

    def refuse(path):
        raise InputError()

    opens(monkeypatch, refuse)
    with pytest.raises(AssertionError):
        fuzz_bundles.outcome_of(content, tmp_path / "a.mednca")
