"""Inference in tiles: the same logits and masks as for the whole image, with memory that does not grow with it."""

import math
from dataclasses import replace

import pytest
import torch

from mednca_pipeline.models import tiles
from mednca_pipeline.models.mednca import MedNCA
from mednca_pipeline.models.prediction import level_states, predict_logits
from mednca_pipeline.models.tiles import boxes_to_compute, cut, tile_size, tiled_logits
from mednca_pipeline.plans.model_plans import LevelPlan, NCAPlan, TrainingPlan

PLAN = NCAPlan(8, 12, 0.6, "layer", "replicate", "matrix", (), TrainingPlan("muon", 0.02, 2, 0.99, {"cpu": 1.0}))
THREE = (LevelPlan((4, 4), 3), LevelPlan((2, 2), 3), LevelPlan((1, 1), 2))
ANISOTROPIC = (LevelPlan((4, 8), 3), LevelPlan((4, 2), 3), LevelPlan((1, 2), 1), LevelPlan((1, 1), 2))
THREE_3D = (LevelPlan((1, 4, 4), 2), LevelPlan((1, 2, 2), 2), LevelPlan((1, 1, 1), 1))
TWO_3D = (LevelPlan((2, 4, 4), 2), LevelPlan((1, 1, 1), 2))


def make_network(levels, **changes):
    """In double precision, with updates so large that each cell and each mask that is read makes a difference."""
    torch.manual_seed(0)
    plan = replace(PLAN, levels=levels, **changes)
    network = MedNCA(plan, len(levels[0].factor), 2, 3, sigmoid=False).double().eval()
    for cell in network.cells:
        torch.nn.init.normal_(cell.update.weight, std=0.1)
    return network


class Masks:
    """Random masks of each level's whole grid; `drawn` counts per level how often each cell's masks were asked for."""

    def __init__(self, batch_size=1, fire_rate=0.6):
        self.batch_size, self.fire_rate, self.whole, self.drawn = batch_size, fire_rate, {}, {}

    def __call__(self, level, steps, grid, box=None):
        if level not in self.whole:
            generator = torch.Generator().manual_seed(level)
            draws = torch.rand(steps, self.batch_size, 1, *grid, generator=generator)
            self.whole[level], self.drawn[level] = draws < self.fire_rate, torch.zeros(grid, dtype=torch.int)
        assert self.whole[level].shape == (steps, self.batch_size, 1, *grid)
        index = box or (slice(None),) * len(grid)
        self.drawn[level][index] += 1
        return self.whole[level][(..., *index)]


def whole_logits(network, image, masks):
    *_, (state,) = level_states(network, image, None, [masks])
    return network.logits(state)


def assert_tiles_equal_the_whole(network, image, cells):
    masks = Masks(len(image))
    with torch.inference_mode():
        whole = whole_logits(network, image, Masks(len(image)))
        tiled = tiled_logits(network, image, cells, masks)
    assert (tiled - whole).abs().max() < 1e-12
    assert torch.equal(tiled.argmax(dim=1), whole.argmax(dim=1)) and len(whole.argmax(dim=1).unique()) > 1
    assert all(count.min() > 0 for count in masks.drawn.values())
    assert masks.drawn[0].max() == 1  # the coarsest level ran once, whole
    return masks


@pytest.mark.parametrize("border", ["replicate", "reflect", "zeros"])
@pytest.mark.parametrize(
    ("levels", "size", "cells"),
    [
        (THREE, (40, 28), 100),  # 4 x 3 tiles of 10 x 10, cut at odd cells of the levels above
        (THREE, (40, 28), 121),  # 11 x 11: the last tiles are smaller
        (THREE, (12, 8), 1),
        (ANISOTROPIC, (20, 48), 100),
        (THREE_3D, (5, 20, 12), 64),
        (TWO_3D, (6, 12, 20), 216),  # the first axis is taken whole
    ],
)
def test_tiles_equal_the_whole(levels, size, cells, border):
    network = make_network(levels, border=border)
    masks = assert_tiles_equal_the_whole(network, torch.randn(2, 2, *size, dtype=torch.float64), cells)
    assert masks.drawn[len(levels) - 1].max() > 1  # more than one tile, and their halos overlap


@pytest.mark.parametrize(("perception", "norm"), [("paper", "none"), ("matrix", "rms")])
def test_every_form_of_the_cell(perception, norm):
    network = make_network(THREE, perception=perception, norm=norm)
    assert_tiles_equal_the_whole(network, torch.randn(1, 2, 28, 40, dtype=torch.float64), 100)


def test_float32_stays_within_1e_5():
    network = make_network(THREE).float()
    image = torch.randn(1, 2, 64, 48)
    with torch.inference_mode():
        whole, tiled = whole_logits(network, image, Masks()), tiled_logits(network, image, 300, Masks())
    assert (tiled - whole).abs().max() < 1e-5


def test_tiles_of_the_expected_update_equal_the_whole():
    network, image = make_network(THREE), torch.randn(1, 2, 28, 40, dtype=torch.float64)
    with torch.inference_mode():
        assert torch.allclose(tiled_logits(network, image, 100), predict_logits(network, image), atol=1e-12)


def test_a_single_level_has_nothing_to_tile():
    network = make_network((LevelPlan((1, 1), 3),))
    assert_tiles_equal_the_whole(network, torch.randn(1, 2, 20, 12, dtype=torch.float64), 30)


def test_boxes_grow_by_the_steps_and_to_whole_cells_of_the_level_above():
    boxes = boxes_to_compute(THREE, [(12, 12), (24, 24), (48, 48)], (slice(16, 31), slice(0, 15)))
    assert boxes[2] == (slice(14, 34), slice(0, 18))  # 16 - 2 to 31 + 2, to even cells; 0 to 15 + 2
    assert boxes[1] == (slice(4, 20), slice(0, 12))  # of it 7 to 17, grown by 3, is 4 to 20; 0 to 9 is 0 to 12
    assert boxes[0] == (slice(0, 12), slice(0, 12))


@pytest.mark.parametrize(
    ("grid", "cells", "expected"),
    [
        ((2048, 2048), 2**18, (512, 512)),
        ((128, 4096), 2**18, (128, 2048)),
        ((4096, 512, 20), 2**18, (114, 114, 20)),
        ((300, 300, 300), 2**18, (64, 64, 64)),
        ((8, 8), 2**18, (8, 8)),
    ],
)
def test_a_tile_is_as_near_to_a_cube_as_the_grid_allows(grid, cells, expected):
    assert tile_size(grid, cells) == expected


def test_the_tiles_cover_each_cell_once():
    seen = torch.zeros(7, 10, dtype=torch.int)
    for tile in cut((7, 10), (3, 4)):
        seen[tile] += 1
    assert torch.equal(seen, torch.ones_like(seen))


def test_memory_of_the_finer_levels_does_not_grow_with_the_image(monkeypatch):
    """States, masks and the parts of the image that the finer levels pool, in their largest sizes."""
    network, run_steps, enter_level = make_network(THREE), tiles.run_steps, MedNCA.enter_level

    def largest(side):
        sizes = {"state": [], "masks": [], "image": []}

        def record_steps(cell, state, fired, steps, share):
            sizes["state"].append(state.numel())
            sizes["masks"].append(fired.numel())
            return run_steps(cell, state, fired, steps, share=share)

        def record_image(self, state, image, index, *windows):
            if index > 0:
                sizes["image"].append(image.numel())
            return enter_level(self, state, image, index, *windows)

        monkeypatch.setattr(tiles, "run_steps", record_steps)
        monkeypatch.setattr(MedNCA, "enter_level", record_image)
        with torch.inference_mode():
            tiled_logits(network, torch.randn(1, 2, side, side, dtype=torch.float64), 256, Masks())
        return {name: max(values) for name, values in sizes.items()}

    small, large = largest(64), largest(128)
    assert small == large
    assert large["state"] <= 8 * math.prod((16 + 2 * 2,) * 2)  # the largest: 16 x 16 and two steps on each side
