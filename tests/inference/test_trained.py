"""Finding trained models: what is there, what was asked for, and what is said when it is not there."""

from dataclasses import replace

import pytest
from tiny_model import DATASET, make_plans, save_model

from mednca_pipeline.inference.trained import choose_folds, find_model, trained_folds
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.workspace import Workspace


def test_the_only_trained_dataset_and_the_plans_configuration(tmp_path):
    save_model(tmp_path, make_plans(), config="3d", folds=(0,))
    save_model(tmp_path, make_plans(), config="2d", folds=(1, 0, 10))
    save_model(tmp_path, make_plans(), model="mednca_paper", folds=(0,))
    found = find_model(Workspace(tmp_path), None, "mednca", None)
    assert (found.dataset, found.model, found.config, found.folds) == (DATASET, "mednca", "2d", (0, 1, 10))
    assert find_model(Workspace(tmp_path), "4", "mednca", "3d").folds == (0,)
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
    folder = save_model(tmp_path, make_plans(), folds=("all", 1, 0))
    (folder / "fold_2").mkdir()
    assert trained_folds(folder) == (0, 1, "all")
    assert choose_folds(folder, None) == (0, 1)
    assert choose_folds(folder, ["fold_1", "all"]) == (1, "all")
    with pytest.raises(InputError, match="of fold 2, found 0, 1, all"):
        choose_folds(folder, ["0", "2"])
