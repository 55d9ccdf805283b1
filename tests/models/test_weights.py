"""Weights on disk: complete, without the second names that DynUNet gives its layers."""

import pytest
import torch

from mednca_pipeline.models.prediction import predict_logits
from mednca_pipeline.models.registry import build_model, count_parameters
from mednca_pipeline.models.weights import load_weights, save_weights
from mednca_pipeline.runtime.errors import InputError

from ..inference.tiny_model import make_plans


@pytest.mark.parametrize("name", ["mednca", "unet_small"])
def test_round_trip_gives_the_same_logits(tmp_path, name):
    first, second = build_model(name, make_plans(), "2d"), build_model(name, make_plans(), "2d")
    save_weights(tmp_path / "w.safetensors", first)
    load_weights(tmp_path / "w.safetensors", second)
    image = torch.rand(1, 1, 16, 16)
    logits = [
        model.eval().predict_logits(image) if name == "unet_small" else predict_logits(model.eval(), image)
        for model in (first, second)
    ]
    assert torch.equal(*logits)
    assert (tmp_path / "w.safetensors").stat().st_size < 4 * count_parameters(first) + 8192


def test_weights_of_another_architecture_are_refused(tmp_path):
    save_weights(tmp_path / "w.safetensors", build_model("unet_small", make_plans(), "2d"))
    with pytest.raises(InputError, match="of another architecture"):
        load_weights(tmp_path / "w.safetensors", build_model("mednca", make_plans(), "2d"))
