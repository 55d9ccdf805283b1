"""UNets in ONNX Runtime give the labels that they give in torch."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch

from mednca_pipeline.deploy.onnx_network import OnnxNetwork
from mednca_pipeline.inference import network
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.inference.sliding_windows import blended
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.weights import FoldWeights, read_weights

from ..inference.tiny_model import SHAPE, SPACING, make_image, make_plans, save_model, with_regions

ONNX, TORCH = (PredictionOptions(device=device) for device in ("onnx", "cpu"))


def with_patch(plans, config, patch):
    chosen = plans.config(config)
    chosen = chosen.with_model("unet_small", replace(chosen.model("unet_small"), patch=patch))
    return replace(plans, configs={**plans.configs, config: chosen})


@pytest.fixture(scope="module")
def scan():
    return make_image()[None]


@pytest.mark.parametrize(
    ("config", "patch"),
    [("2d", (32, 32)), ("2d", (8, 8)), ("2d", (8, 40)), ("3d", (8, 32, 32)), ("3d", (4, 8, 8))],
    ids=["whole slices", "windows of slices", "windows longer than the slice", "a whole volume", "windows of a volume"],
)
@pytest.mark.parametrize("regions", [False, True])
def test_labels_and_probabilities_of_torch(tmp_path, scan, config, patch, regions):
    plans = with_patch(make_plans(), config, patch)
    plans = with_regions(plans) if regions else plans
    folder = save_model(tmp_path, plans, "unet_small", config)
    found, expected = (Predictor.from_folder(folder, options=device).predict(scan, SPACING) for device in (ONNX, TORCH))
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert np.ptp(expected.probabilities) > 0.1 and found.flag == expected.flag


def test_windows_are_those_of_monai():
    from monai.inferers import sliding_window_inference

    image = np.random.default_rng(0).normal(size=(2, 1, 21, 7)).astype(np.float32)

    def predict(batch):  # what a window gives depends on where it lies
        return batch.cumsum(-1) + batch.cumsum(-2)

    expected = sliding_window_inference(torch.from_numpy(image), (8, 9), 1, predict, overlap=0.5, mode="gaussian")
    np.testing.assert_allclose(blended(image, (8, 9), predict), expected.numpy(), atol=1e-4)


def test_without_torch_it_is_the_default(tmp_path, monkeypatch, scan):
    folder = save_model(tmp_path, make_plans(), "unet_small")
    assert not isinstance(Predictor.from_folder(folder).networks[0], OnnxNetwork)
    monkeypatch.setattr(network, "find_spec", lambda name: None if name == "torch" else importlib.util.find_spec(name))
    predictor = Predictor.from_folder(folder)
    assert isinstance(predictor.networks[0], OnnxNetwork) and predictor.device == "cpu (ONNX Runtime)"
    assert predictor.predict(scan, SPACING).labels.shape == SHAPE


def test_a_model_that_it_does_not_compute(tmp_path):
    folder = save_model(tmp_path, make_plans())
    with pytest.raises(InputError, match=r"--device onnx: expected a model that it computes \(unet, unet_small\)"):
        Predictor.from_folder(folder, options=ONNX)


def test_weights_of_another_architecture(tmp_path):
    plans = make_plans()
    weights = read_weights(save_model(tmp_path, plans, "unet_small") / "fold_0" / "final.safetensors")
    name = "net.upsamples.0.transp_conv.conv.weight"
    other = FoldWeights({**weights.arrays, name: np.zeros((8, 4, 2, 2), np.float32)}, "made.safetensors")
    with pytest.raises(InputError, match=r"made\.safetensors: net\.upsamples\.0.*\(8, 8, 2, 2\).*\(8, 4, 2, 2\)"):
        OnnxNetwork.from_weights(other, plans, "unet_small", "2d")
    less = FoldWeights({key: array for key, array in weights.arrays.items() if key != name}, "made.safetensors")
    with pytest.raises(InputError, match="found no such weight"):
        OnnxNetwork.from_weights(less, plans, "unet_small", "2d")
