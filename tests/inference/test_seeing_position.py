"""Networks that see the position: prediction gives them what training gave, and tiles what the whole image gives."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import make_plans, save_model, two_dimensional

from mednca_pipeline.inference import network as network_module
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.planning.plans import Plans
from mednca_pipeline.training.batches import Sampler
from mednca_pipeline.training.job import batch_recipe
from mednca_pipeline.training.options import TrainingOptions

sys.path.append(str(Path(__file__).parents[1] / "training"))
from preprocessed_store import write_store  # noqa: E402

SHAPES = {"2d": (5, 21, 14), "3d": (5, 21, 14), "picture": (1, 21, 14)}  # a side longer and one shorter than the plan
TYPICAL = (6.0, 18.0, 15.0)


def seeing_position(kind: str) -> tuple[Plans, str]:
    plans, config = (two_dimensional(make_plans()), "2d") if kind == "picture" else (make_plans(), kind)
    chosen = plans.configs[config]
    model = replace(chosen.mednca, position=TYPICAL[-2:] if kind == "picture" else TYPICAL)
    return replace(plans, configs={config: replace(chosen, mednca=model)}, default_config=config), config


@pytest.fixture(params=["2d", "3d", "picture"])
def kind(request):
    return request.param


def test_prediction_sees_the_places_that_training_saw(kind, tmp_path, monkeypatch):
    plans, config = seeing_position(kind)
    chosen, image = plans.configs[config], np.random.default_rng(1).normal(size=(1, *SHAPES[kind])).astype(np.float32)
    network = Predictor.from_folder(save_model(tmp_path, plans, config=config, folds=(0,))).networks[0]
    seen = []

    def record(batch, fires):
        seen.extend(batch.numpy())
        return torch.zeros(len(batch), 3, *batch.shape[2:])

    monkeypatch.setattr(network.module, "predict_logits", record)
    network.probabilities(image, 0, 0)
    write_store(tmp_path / "store", {"a": (image, np.zeros(SHAPES[kind], np.uint8))}, chosen.dim)
    recipe = batch_recipe(
        tmp_path / "store", plans, chosen, chosen.mednca, ("a",), TrainingOptions("Dataset004_Tiny", 0)
    )
    sampler = Sampler(replace(recipe, augmentation=0.0, image_size=seen[0].shape[1:], patch=seen[0].shape[1:]))
    samples = [sampler.sample(0, index)[0] for index in range(10)]
    assert samples[0].shape[0] == plans.input_channels(chosen.mednca) == 1 + len(chosen.mednca.position)
    for sample in samples:
        assert any(np.array_equal(sample, given) for given in seen)
    moved = Sampler(replace(sampler.recipe, augmentation=1.0)).sample(0, 0)[0][1:] - samples[0][1:]
    for channel in moved:  # in training each sample is moved as a whole
        assert np.ptp(channel) < 1e-6 and 1e-3 < abs(channel.mean()) < 0.5


@pytest.mark.parametrize("config", ["2d", "3d"])
def test_tiles_see_their_part_of_the_places(config, tmp_path, monkeypatch):
    plans, _ = seeing_position(config)
    network = Predictor.from_folder(save_model(tmp_path, plans, config=config, folds=(0,))).networks[0]
    image = np.random.default_rng(0).standard_normal((1, 5, 22, 17), dtype=np.float32)
    whole = network.probabilities(image, 7, 3)
    monkeypatch.setattr(network_module, "CELLS_PER_BATCH", 22 * 18 * 2)
    monkeypatch.setattr(network_module, "TILE_CELLS", {2: 50, 3: 200})
    np.testing.assert_allclose(network.probabilities(image, 7, 3), whole, atol=1e-5)


def test_what_is_seen_of_the_position_decides_the_result(tmp_path):
    plans, _ = seeing_position("2d")
    network = Predictor.from_folder(save_model(tmp_path, plans, folds=(0,))).networks[0]
    image = np.zeros((1, 6, 16, 16), np.float32)
    found = network.probabilities(image, 0, 0)
    assert np.abs(found[:, 0] - found[:, -1]).max() > 1e-3  # the same pixels in the first and in the last slice
