"""The models that the page offers: NCAs of the workspace, and what is installed, each as a bundle."""

import pytest

from mednca_pipeline.deploy.bundle import write_bundle
from mednca_pipeline.deploy.card import make_card
from mednca_pipeline.inference.bundle_model import BundleModel
from mednca_pipeline.inference.installed import SHIPPED, VARIABLE, install
from mednca_pipeline.results.model_card import DataFacts
from mednca_pipeline.viewing.models import model_files
from mednca_pipeline.workspace import Workspace

from ..deploy.models import validated_model
from ..inference.tiny_model import make_plans


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A workspace with a Med-NCA and a UNet, and one installed bundle."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "installed"))
    model = validated_model(tmp_path)
    validated_model(tmp_path, model="unet_small")
    bundle = tmp_path / "other.mednca"
    write_bundle(model, (0,), "float16", make_card(model, (0,), DataFacts()), bundle)
    install(bundle, "other")
    return Workspace(tmp_path)


def test_models_of_the_workspace_become_bundles_when_they_are_asked_for(tmp_path, workspace):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    files = model_files(workspace, scratch)
    dataset = make_plans().dataset
    assert set(files) == {f"{dataset} mednca_2d", "other", "phantom"}  # no UNet: the page runs cellular automata
    assert not list(scratch.iterdir())
    made = files[f"{dataset} mednca_2d"]()
    assert BundleModel.open(made).trained_folds() == (0, 1)
    before = made.stat().st_mtime_ns
    assert files[f"{dataset} mednca_2d"]() == made and made.stat().st_mtime_ns == before  # written once
    assert BundleModel.open(files["other"]()).trained_folds() == (0,)


def test_an_empty_workspace_offers_what_comes_with_the_package(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "installed"))
    files = model_files(Workspace(tmp_path), tmp_path)
    assert {name: file().parent for name, file in files.items()} == {"phantom": SHIPPED}
