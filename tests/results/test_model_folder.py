"""Which model a folder holds, by its files; and what is learned from all of its folds."""

import shutil
from pathlib import Path

import pytest

from mednca_pipeline.results.fold_folder import FoldFolder
from mednca_pipeline.results.model_folder import ModelFolder, ModelRecord, model_folders
from mednca_pipeline.results.run_record import WRITTEN_WHERE_SET, RunRecord
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
        written = {key: value for key, value in vars(run).items() if value or key not in WRITTEN_WHERE_SET}
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
