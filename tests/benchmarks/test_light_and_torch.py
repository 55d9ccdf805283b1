"""The benchmark that compares the labels of both backends, on a small made-up model."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.light_and_torch import ASKED, agreement, in_torch, table
from mednca_pipeline.inference.light import LightNetwork
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.inference.torch_nca import TorchNCA

from ..inference.tiny_model import make_image, make_plans, save_model, write_image


@dataclass(frozen=True)
class Scanned:
    images: tuple[Path, ...]
    label: Path


@pytest.fixture
def light(tmp_path):
    folder = save_model(tmp_path, make_plans(), folds=(0, 1))
    return Predictor.from_folder(folder, [0], PredictionOptions(quality=False, postprocess=False)), folder


@pytest.fixture
def cases(tmp_path):
    return [Scanned((write_image(tmp_path / f"{n}.nii.gz", make_image(n)),), tmp_path / f"{n}.nii.gz") for n in (0, 1)]


@pytest.fixture(autouse=True)
def no_reference(monkeypatch):
    """Its labels are not needed: the image's file stands for them."""
    monkeypatch.setattr("benchmarks.scans.read_labels", lambda path: type("Labels", (), {"array": [None]}))


def test_both_backends_give_the_same_labels(light, cases):
    predictor, folder = light
    torch = in_torch(predictor, folder)
    assert isinstance(predictor.networks[0], LightNetwork) and isinstance(torch.networks[0], TorchNCA)
    row = agreement("Dataset004_Tiny", predictor, torch, cases)
    assert row["labelled"] > 0 and row["voxels"] == 2 * 5 * 14 * 11
    assert row["identical in the worst case"] >= ASKED
    assert "| Dataset004_Tiny | 2 | 1,540 |" in table([row])


def test_other_weights_give_other_labels(light, cases):
    predictor, folder = light
    other = Predictor.from_folder(folder, [1], PredictionOptions(quality=False, postprocess=False))
    row = agreement("Dataset004_Tiny", predictor, other, cases)
    assert 0 < row["different"] < row["voxels"]
    assert row["identical"] == 1 - row["different"] / row["voxels"]
