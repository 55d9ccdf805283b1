"""The predictor's network takes large images in tiles, with the masks and the result of the whole image."""

import numpy as np
import pytest
import torch

from mednca_pipeline.inference import torch_nca
from mednca_pipeline.inference.network import Asked
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.runtime.fire_masks import RandomRun, fire_masks
from mednca_pipeline.runtime.quality import Deviation

from .tiny_model import SPACING, make_plans, save_model

SEED, RUN, STEPS = 7, 0, 2  # STEPS: of the tiny model's finest level
SLICES, PADDED = 5, (22, 18)


@pytest.fixture
def recorded(monkeypatch):
    """Per image or batch of slices that ran in tiles: what each draw of the finest level's masks got and gave."""
    images, tiled = [], torch_nca.tiled_logits

    def record(module, image, cells, fires=None):
        if fires is None:
            return tiled(module, image, cells)
        draws = []
        images.append(draws)

        def recording(level, steps, grid, box=None):
            masks = fires(level, steps, grid, box)
            if level == 1:
                draws.append((grid, box, masks))
            return masks

        return tiled(module, image, cells, recording)

    monkeypatch.setattr(torch_nca, "tiled_logits", record)
    return images


def first_run(network, image):
    """The probabilities of run 0 over all parts of the image."""
    labels, asked = make_plans().labels, Asked(runs=1, seed=SEED)
    parts = [next(iter(network.probabilities(seen, asked, Deviation(labels)))) for seen in network.see(image)]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("config", ["2d", "3d"])
def test_tiles_draw_their_part_of_the_whole_masks_and_give_the_whole_result(tmp_path, config, monkeypatch, recorded):
    network = Predictor.from_folder(save_model(tmp_path, make_plans(), "mednca_paper", config, folds=(0,))).networks[0]
    image = np.random.default_rng(0).standard_normal((1, SLICES, 22, 17), dtype=np.float32)
    whole = first_run(network, image)
    assert recorded == []  # a small image runs whole
    monkeypatch.setattr("mednca_pipeline.runtime.network_input.CELLS_PER_BATCH", 22 * 18 * 2)
    monkeypatch.setattr(torch_nca, "TILE_CELLS", {2: 50, 3: 200})
    tiled = first_run(network, image)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    np.testing.assert_array_equal(tiled.argmax(axis=0), whole.argmax(axis=0))

    if config == "2d":
        masks = fire_masks(RandomRun(SEED, RUN, 0.5), 1, range(STEPS), (SLICES, *PADDED))[:, :, None]
        expected = [masks[:, :2], masks[:, 2:4], masks[:, 4:]]  # (steps, B, 1, *PADDED) of each batch of slices
    else:
        expected = [fire_masks(RandomRun(SEED, RUN, 0.5), 1, range(STEPS), (6, *PADDED))[:, None, None]]
    for draws, masks in zip(recorded, expected, strict=True):
        seen = np.zeros(masks.shape[3:], dtype=int)
        for grid, box, drawn in draws:
            assert grid == seen.shape
            assert torch.equal(drawn, torch.from_numpy(masks[(..., *box)]))
            seen[box] += 1
        assert len(draws) > 1 and seen.min() > 0


@pytest.mark.parametrize("model", ["mednca", "mednca_paper"])
def test_the_quality_score_of_an_image_in_tiles_is_the_whole_images(tmp_path, model, monkeypatch):
    """Its threshold is learned from images that run whole, and at the outline."""
    folder = save_model(tmp_path, make_plans(), model, folds=(0,))
    image = np.random.default_rng(0).standard_normal((1, SLICES, 40, 36)).astype(np.float32)
    whole = Predictor.from_folder(folder, options=PredictionOptions(everywhere=True)).predict(image, SPACING)
    monkeypatch.setattr(torch_nca, "TILE_CELLS", {2: 200, 3: 200})
    for runs in (0, 2):
        tiled = Predictor.from_folder(folder, options=PredictionOptions(everywhere=True, runs=runs)).predict(
            image, SPACING
        )
        if not runs:
            assert tiled.quality == pytest.approx(whole.quality, rel=1e-4)
        assert set(tiled.quality) == set(whole.quality)
    if model == "mednca":
        outline = Predictor.from_folder(folder).predict(image, SPACING)
        assert outline.quality == pytest.approx(whole.quality, rel=0.05)
