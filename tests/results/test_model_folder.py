"""Which model a folder holds, by its files; and what is learned from all of its folds."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mednca_pipeline.results.fold_folder import FoldFolder
from mednca_pipeline.results.model_folder import ModelFolder, ModelRecord, model_folders
from mednca_pipeline.results.postprocessing import Postprocessing, raw_sha256, read_postprocessing
from mednca_pipeline.results.run_record import RunRecord
from mednca_pipeline.results.summary import CaseResult
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import read_json, write_json

RECORD = ModelRecord("Dataset004_Hippocampus", "unet_small", "2d")
RECORDED = Path(__file__).parents[2] / "results"


def test_a_copy_under_another_name_is_the_same_model(tmp_path):
    folder = ModelFolder.of(tmp_path, RECORD)
    assert folder.path == tmp_path / "unet_small_2d"
    folder.write_record(RECORD)
    shutil.copytree(folder.path, tmp_path / "best of all")
    assert ModelFolder(tmp_path / "best of all").record() == RECORD
    ensemble = ModelRecord("Dataset004_Hippocampus", members=("mednca_2d", "unet_small_2d"))
    ModelFolder.of(tmp_path, ensemble).write_record(ensemble)
    (tmp_path / "notes").mkdir()
    found = {each.path.name: each.record() for each in model_folders(tmp_path)}
    assert found == {"unet_small_2d": RECORD, "best of all": RECORD, "mednca_2d+unet_small_2d": ensemble}


def test_folders_from_before_the_record_are_known_by_a_run_else_by_their_name(tmp_path):
    folder = ModelFolder(tmp_path / "renamed")
    folder.fold(1).write_run(RunRecord(dataset="Dataset004_Hippocampus", model="unet_small", config="2d"))
    assert folder.record() == RECORD
    for name, expected in (
        ("unet_small_3d", ModelRecord("", "unet_small", "3d")),
        ("mednca_2d+unet_small_2d", ModelRecord("", members=("mednca_2d", "unet_small_2d"))),
        ("recorded", None),
    ):
        (tmp_path / name).mkdir()
        assert ModelFolder(tmp_path / name).record() == expected


def test_a_record_is_of_a_model_or_of_an_ensemble(tmp_path):
    folder = ModelFolder(tmp_path)
    for more in ({}, {"model": "unet"}, {"model": "unet", "config": "2d", "members": ["mednca_2d"]}):
        write_json(folder.record_file, {"schema": 1, "dataset": "Dataset004_Hippocampus", **more})
        with pytest.raises(InputError, match="either a model and its config, or members"):
            folder.record()


def test_the_recorded_results_of_earlier_versions_are_read():
    models = [model for folder in RECORDED.glob("*/recorded") for model in model_folders(folder)]
    folds = [fold for model in models for fold in model.folds()]
    assert len(folds) >= 14
    for model in models:
        record = model.record()
        assert (record.dataset, record.name) == (model.path.parents[1].name, model.path.name)
    for fold in [*folds, *map(FoldFolder, sorted((RECORDED / "recipe" / "finals").iterdir()))]:
        run, summary = fold.run(), fold.summary()
        assert run.finished and run.iterations > 0 and len(summary.cases) > 1
        written = {key: value for key, value in vars(run).items() if key not in ("beginning", "members")}
        assert {**written, "machine": None} == {**read_json(fold.run_file), "machine": None}  # younger than some


def test_folds_of_other_plans_or_cases_are_refused(tmp_path):
    folder = ModelFolder(tmp_path)
    for fold, digest, split in ((0, "a", "x"), (1, "b", "y"), (2, "a", "w"), ("all", "a", "")):
        folder.fold(fold).write_run(RunRecord(digest=digest, split=split))
    with pytest.raises(InputError, match="found fold_1 trained with other plans"):
        folder.require_same_origin("a", ["x", "y", "z"])
    folder.fold(1).write_run(RunRecord(digest="a", split="y"))
    with pytest.raises(InputError, match="found fold_2 trained with other splits"):
        folder.require_same_origin("a", ["x", "y", "z"])
    folder.require_same_origin("a", ["x", "y", "z"], besides=2)
    folder.require_same_origin("a", [])


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
