"""The command mednca_train: what its words mean."""

import argparse

import pytest

from mednca_pipeline.cli.train import _named, main
from mednca_pipeline.runtime.errors import InputError


def named(*fold, model="mednca", config=None):
    return _named(argparse.Namespace(dataset="4", fold=list(fold), model=model, config=config))


def test_the_order_of_nnunet_and_names_of_folders_are_known():
    assert named("0") == ("mednca", None, "0")
    assert named("2d", "0") == ("mednca", "2d", "0")
    assert named("fold1", model="unet_small_3d") == ("unet_small", "3d", "fold1")
    assert named("3d", "0", model="mednca_paper_3d", config="3d") == ("mednca_paper", "3d", "0")
    assert named("0", model="mednca_paper") == ("mednca_paper", None, "0")


def test_what_is_not_understood_is_answered_with_what_to_type():
    with pytest.raises(InputError, match=r"Type mednca_train 4 0 --config 3d\."):
        named("3d_fullres", "0")
    with pytest.raises(InputError, match=r"Type mednca_train 4 0\."):
        named("nnUNetTrainer", "0")
    with pytest.raises(InputError, match="expected one, found 3d and 2d"):
        named("2d", "0", config="3d")


def test_the_command_reads_them(tmp_path, capsys):
    assert main(["4", "3d_lowres", "0", "--root", str(tmp_path)]) == 2
    assert "Type mednca_train 4 0 --config 3d." in capsys.readouterr().err
