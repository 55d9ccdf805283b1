"""Finding trained models: what is there, what was asked for, and what is said when it is not there."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.inference.trained import choose_folds, find_model, find_models
from mednca_pipeline.results.model_folder import ModelFolder, ModelRecord
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.workspace import Workspace

from .tiny_model import DATASET, SPACING, make_image, make_plans, save_model


def test_the_only_trained_dataset_and_the_plans_configuration(tmp_path):
    save_model(tmp_path, make_plans(), config="3d", folds=(0,))
    save_model(tmp_path, make_plans(), config="2d", folds=(1, 0, 10))
    save_model(tmp_path, make_plans(), model="mednca_paper", folds=(0,))
    found = find_model(Workspace(tmp_path), None, "mednca", None)
    assert (found.folder.path.parent.name, found.model, found.config) == (DATASET, "mednca", "2d")
    assert find_model(Workspace(tmp_path), "4", "mednca", "3d").folder.trained_folds() == (0,)
    assert find_model(Workspace(tmp_path), "4", "mednca_paper", None).config == "2d"


def test_several_or_no_trained_datasets_are_listed(tmp_path):
    with pytest.raises(InputError, match="found none.*mednca_train"):
        find_model(Workspace(tmp_path), None, "mednca", None)
    for name in ("Dataset004_Tiny", "Dataset005_Other"):
        save_model(tmp_path, replace(make_plans(), dataset=name), folds=(0,))
    with pytest.raises(InputError, match="found Dataset004_Tiny, Dataset005_Other. Choose one with -d"):
        find_model(Workspace(tmp_path), None, "mednca", None)


def test_a_model_that_is_not_trained_names_those_that_are(tmp_path):
    save_model(tmp_path, make_plans(), folds=(0,))
    with pytest.raises(InputError, match=r"expected a trained unet .*found mednca \(2d\)"):
        find_model(Workspace(tmp_path), "4", "unet", None)


def test_folds(tmp_path):
    folder = ModelFolder(save_model(tmp_path, make_plans(), folds=("all", 1, 0)))
    (folder.path / "fold_2").mkdir()
    assert folder.trained_folds() == (0, 1, "all")
    assert choose_folds(folder, None) == (0, 1)
    assert choose_folds(folder, ["fold_1", "all"]) == (1, "all")
    with pytest.raises(InputError, match="of fold 2, found 0, 1, all"):
        choose_folds(folder, ["0", "2"])


def test_a_copied_or_renamed_model_loads(tmp_path):
    folder = ModelFolder(save_model(tmp_path, make_plans(), model="unet_small", folds=(0,)))
    folder.write_record(ModelRecord(DATASET, "unet_small", "2d"))
    image = make_image()[None]
    expected = Predictor.from_folder(folder.path).predict(image, SPACING).labels
    copied = tmp_path / "elsewhere" / "my model"
    shutil.copytree(folder.path, copied)
    np.testing.assert_array_equal(Predictor.from_folder(copied).predict(image, SPACING).labels, expected)
    (found,) = find_models(Workspace(tmp_path), None, [str(copied)], None)
    assert (found.model, found.config, found.folder.path) == ("unet_small", "2d", copied)
    beside = folder.path.with_name("a_copy")
    shutil.copytree(folder.path, beside)
    assert find_model(Workspace(tmp_path), None, "unet_small", None).folder == folder  # not its copy
    shutil.rmtree(folder.path)
    assert find_model(Workspace(tmp_path), None, "unet_small", None).folder.path == beside
    copied.joinpath("model.json").unlink()
    with pytest.raises(InputError, match="expected the folder of a trained model"):
        Predictor.from_folder(copied)
