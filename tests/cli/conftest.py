"""Fixtures of the tests of commands."""

import pytest

from mednca_pipeline.inference import installed

from ..deploy.models import validated_model
from ..inference.tiny_model import make_image, make_plans, save_model, write_image


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("workspace")
    save_model(root, make_plans(), folds=(0, 1))
    return root


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A workspace with a trained model, a scan, and a folder that knows nothing of it, which is the current one."""
    validated_model(tmp_path / "workspace")
    write_image(tmp_path / "in" / "scan_0000.nii.gz", make_image())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("MEDNCA_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(installed, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path
