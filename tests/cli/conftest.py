"""Fixtures of the tests of commands."""

import pytest

from ..inference.tiny_model import make_plans, save_model


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("workspace")
    save_model(root, make_plans(), folds=(0, 1))
    return root
