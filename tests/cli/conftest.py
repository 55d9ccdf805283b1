"""The fixture of the commands that make and use bundles."""

import pytest

from mednca_pipeline.inference import installed

from ..deploy.models import validated_model
from ..inference.tiny_model import make_image, write_image


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
