"""Networks that see the position: prediction gives them what training gave, and tiles what the whole image gives."""

from dataclasses import replace

import numpy as np
import pytest

from mednca_pipeline.inference import torch_nca
from mednca_pipeline.inference.network import Asked
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.plans.plans import Plans
from mednca_pipeline.runtime.network_input import parts
from mednca_pipeline.runtime.quality import Deviation
from mednca_pipeline.training.batches import Sampler
from mednca_pipeline.training.job import batch_recipe
from mednca_pipeline.training.options import TrainingOptions

from ..training.preprocessed_store import write_store
from .tiny_model import make_plans, save_model, two_dimensional

SHAPES = {"2d": (5, 21, 14), "3d": (5, 21, 14), "picture": (1, 21, 14)}  # a side longer and one shorter than the plan
TYPICAL = (6.0, 18.0, 15.0)


def seeing_position(kind: str) -> tuple[Plans, str]:
    plans, config = (two_dimensional(make_plans()), "2d") if kind == "picture" else (make_plans(), kind)
    chosen = plans.configs[config]
    model = replace(chosen.models["mednca"], position=TYPICAL[-2:] if kind == "picture" else TYPICAL)
    return replace(plans, configs={config: chosen.with_model("mednca", model)}, default_config=config), config


def samples_of(part, dim: int) -> list[np.ndarray]:
    """(C, *spatial) of each slice, or of the volume."""
    return [part.array] if dim == 3 else list(part.array.swapaxes(0, 1))


def probabilities(network, image):
    """(K, S, H, W) by the expected update."""
    deviation = Deviation(make_plans().labels)
    found = [next(iter(network.probabilities(seen, Asked(), deviation))) for seen in network.see(image)]
    return np.concatenate(found, axis=1)


@pytest.fixture(params=["2d", "3d", "picture"])
def kind(request):
    return request.param


def test_prediction_sees_the_places_that_training_saw(kind, tmp_path):
    plans, config = seeing_position(kind)
    chosen, image = plans.configs[config], np.random.default_rng(1).normal(size=(1, *SHAPES[kind])).astype(np.float32)
    network = Predictor.from_folder(save_model(tmp_path, plans, config=config, folds=(0,))).networks[0]
    seen = [sample for part in parts(image, network.format) for sample in samples_of(part, chosen.dim)]
    write_store(tmp_path / "store", {"a": (image, np.zeros(SHAPES[kind], np.uint8))}, chosen.dim)
    recipe = batch_recipe(
        tmp_path / "store", plans, chosen, chosen.models["mednca"], ("a",), TrainingOptions("Dataset004_Tiny", 0)
    )
    sampler = Sampler(replace(recipe, augmentation=0.0, image_size=seen[0].shape[1:], patch=seen[0].shape[1:]))
    samples = [sampler.sample(0, index)[0] for index in range(10)]
    assert (
        samples[0].shape[0]
        == plans.input_channels(chosen.models["mednca"])
        == 1 + len(chosen.models["mednca"].position)
    )
    for sample in samples:
        assert any(np.array_equal(sample, given) for given in seen)
    moved = Sampler(replace(sampler.recipe, augmentation=1.0)).sample(0, 0)[0][1:] - samples[0][1:]
    for channel in moved:  # in training each sample is moved as a whole
        assert np.ptp(channel) < 1e-6 and 1e-3 < abs(channel.mean()) < 0.5


@pytest.mark.parametrize("config", ["2d", "3d"])
def test_batches_and_tiles_see_their_part_of_the_places(config, tmp_path, monkeypatch):
    plans, _ = seeing_position(config)
    folder = save_model(tmp_path, plans, config=config, folds=(0,))
    image = np.random.default_rng(0).standard_normal((1, 5, 22, 17), dtype=np.float32)
    networks = [
        Predictor.from_folder(folder, options=PredictionOptions(everywhere=everywhere)).networks[0]
        for everywhere in (False, True)
    ]
    whole = [probabilities(network, image) for network in networks]
    monkeypatch.setattr("mednca_pipeline.runtime.network_input.CELLS_PER_BATCH", 22 * 18 * 2)
    monkeypatch.setattr(torch_nca, "TILE_CELLS", {2: 50, 3: 200})
    for network, expected in zip(networks, whole, strict=True):
        np.testing.assert_allclose(probabilities(network, image), expected, atol=1e-5)


def test_what_is_seen_of_the_position_decides_the_result(tmp_path):
    plans, _ = seeing_position("2d")
    network = Predictor.from_folder(save_model(tmp_path, plans, folds=(0,))).networks[0]
    image = np.zeros((1, 6, 16, 16), np.float32)
    found = probabilities(network, image)
    assert np.abs(found[:, 0] - found[:, -1]).max() > 1e-3  # the same pixels in the first and in the last slice
