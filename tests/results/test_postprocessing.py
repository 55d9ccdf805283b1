"""The components that were chosen out of fold, and for which results they hold."""

import math
from dataclasses import replace

import pytest

from mednca_pipeline.results.postprocessing import Postprocessing, raw_sha256, read_postprocessing
from mednca_pipeline.results.summary import CaseResult
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import write_json


def test_raw_digest_is_of_the_metrics_before_anything_was_removed():
    kept, raw = {"one": {"dice": 1.0}}, {"one": {"dice": 0.5}}
    assert raw_sha256({"a": CaseResult(kept, raw=raw)}) == raw_sha256({"a": CaseResult(raw, seconds=2.0)})
    assert raw_sha256({"a": CaseResult(kept)}) != raw_sha256({"a": CaseResult(raw)})


def test_stored_choice_is_read_in_both_schemas_and_for_its_plans_alone(tmp_path):
    file, metrics = tmp_path / "postprocessing.json", {"a": {"one": {"dice": 1.0}}}
    chosen = Postprocessing({"one": 2}, {"one": {"components": 2, "chosen": True}}, (0, 1), "abc", metrics)
    write_json(file, chosen)
    assert read_postprocessing(file, "abc") == chosen
    write_json(file, replace(chosen, metrics={"a": {"one": {"dice": 0.0, "hd95": math.nan}}}))
    assert math.isnan(read_postprocessing(file, "abc").metrics["a"]["one"]["hd95"])
    assert read_postprocessing(file, "other plans") is None
    assert read_postprocessing(tmp_path / "nowhere.json", "abc") is None
    old = {"schema": 1, "classes": ["one", "two"], "cases": 3, "folds": [0], "evidence": {}, "digest": "abc"}
    write_json(file, old)
    assert read_postprocessing(file, "abc") == Postprocessing({"one": 1, "two": 1}, {}, (0,), "abc")
    write_json(file, {**old, "schema": 3})
    with pytest.raises(InputError, match="expected schema 2, found 3"):
        read_postprocessing(file, "abc")
