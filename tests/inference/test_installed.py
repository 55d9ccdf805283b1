"""Installing bundles, and finding models by their names."""

from pathlib import Path

import numpy as np
import pytest

from mednca_pipeline.inference import installed
from mednca_pipeline.inference.installed import install, installed_folder, named_bundles
from mednca_pipeline.inference.listed_models import listed_models
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.inference.trained import find_models
from mednca_pipeline.phantom import make_phantom
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.workspace import Workspace

from ..deploy.models import validated_model
from ..deploy.test_bundle import export
from .tiny_model import DATASET


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    return export(validated_model(folder), folder / "tiny.mednca").path


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDNCA_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(installed, "SHIPPED", tmp_path / "shipped")
    return tmp_path / "models"


@pytest.mark.parametrize(
    ("system", "variables", "expected"),
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/mednca_pipeline/models"),
        ("linux", {}, "/home/u/.local/share/mednca_pipeline/models"),
        ("darwin", {}, "/home/u/Library/Application Support/mednca_pipeline/models"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/mednca_pipeline/models"),
        ("linux", {"MEDNCA_MODELS": "/chosen"}, "/chosen"),
    ],
)
def test_the_folder_is_where_the_system_keeps_a_users_data(monkeypatch, system, variables, expected):
    for name in ("MEDNCA_MODELS", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/u"))
    assert installed_folder() == Path(expected)


def test_an_installed_model_is_found_by_its_name(bundle, models, tmp_path):
    assert named_bundles() == {}
    assert install(bundle) == models / "tiny.mednca"
    assert install(bundle, "second-1.0") == models / "second-1.0.mednca"
    assert named_bundles() == {"tiny": models / "tiny.mednca", "second-1.0": models / "second-1.0.mednca"}
    assert (models / "tiny.mednca").read_bytes() == bundle.read_bytes()
    (found,) = find_models(Workspace(tmp_path), None, ["second-1.0"], None)
    assert found.path == models / "second-1.0.mednca" and found.trained_folds() == (0, 1)
    with pytest.raises(InputError, match="-m third: expected one of mednca, .*second-1.0, tiny, a bundle"):
        find_models(Workspace(tmp_path), None, ["third"], None)


def test_an_installed_model_hides_a_shipped_one_and_a_folder_of_its_name(bundle, models, tmp_path, monkeypatch):
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "tiny.mednca").write_bytes(bundle.read_bytes())
    assert named_bundles()["tiny"].parent == tmp_path / "shipped"
    install(bundle)
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    (found,) = find_models(Workspace(tmp_path), None, ["tiny"], None)
    assert found.path == models / "tiny.mednca"
    with pytest.raises(InputError, match="found no model of this version"):
        find_models(Workspace(tmp_path), None, ["./tiny"], None)


def test_another_model_of_the_name_stays_unless_forced(bundle, models, tmp_path):
    install(bundle)
    install(bundle)  # the same again
    other = export(validated_model(tmp_path / "other"), tmp_path / "tiny.mednca", folds=(0,)).path
    with pytest.raises(InputError, match="--name tiny: expected a name that is free"):
        install(other)
    assert (models / "tiny.mednca").read_bytes() == bundle.read_bytes()
    install(other, force=True)
    assert (models / "tiny.mednca").read_bytes() == other.read_bytes()


@pytest.mark.parametrize("name", ["mednca", "unet_small", "mednca_3d", "../x", "a/b", ".x", "", "x\n", "-x y"])
def test_names_that_mean_something_else_are_refused(bundle, models, name):
    with pytest.raises(InputError, match="--name"):
        install(bundle, name)
    assert not models.exists()


def test_a_damaged_bundle_is_not_installed(bundle, models, tmp_path):
    damaged = tmp_path / "x.mednca"
    damaged.write_bytes(bundle.read_bytes()[:-100])
    with pytest.raises(InputError, match="cut off"):
        install(damaged)
    assert not models.exists()


def test_all_models_are_listed(bundle, models, tmp_path):
    validated_model(tmp_path)
    install(bundle)
    (models / "broken.mednca").write_bytes(b"x")
    trained, broken, tiny = listed_models(Workspace(tmp_path))
    assert (trained.name, trained.options, trained.where, trained.dataset) == (
        "mednca_2d",
        "-d 4",
        "workspace",
        DATASET,
    )
    assert (tiny.name, tiny.where, tiny.folds, tiny.bytes) == ("tiny", "installed", "0 1", bundle.stat().st_size)
    assert trained.dice == tiny.dice == pytest.approx(0.85)
    assert "cut off" in broken.problem and broken.where == "installed"


def test_the_shipped_model_finds_a_phantom(monkeypatch):
    monkeypatch.undo()
    image, labels, _ = make_phantom(np.random.default_rng(5))
    predicted = Predictor.from_bundle(named_bundles()["phantom"]).predict(image[None], (1.0, 1.0, 1.0))
    both = 2 * np.logical_and(predicted.labels > 0, labels > 0).sum()
    assert both / ((predicted.labels > 0).sum() + (labels > 0).sum()) > 0.85
