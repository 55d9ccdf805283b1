"""What an NCA costs: the memory of a training step, and the arithmetic of a prediction."""

from dataclasses import replace

import pytest

from mednca_pipeline.models import nca_cost
from mednca_pipeline.models.cost_units import FLOAT_BYTES
from mednca_pipeline.models.nca_cost import IMAGE_MAPS, LIBRARY_BYTES
from mednca_pipeline.plans.model_plans import LevelPlan, NCAPlan, TrainingPlan

CELL = {"channels": 16, "hidden": 64, "fire_rate": 0.75, "norm": "layer", "border": "replicate", "perception": "matrix"}
PUBLISHED = {**CELL, "channels": 32, "hidden": 128, "norm": "none", "perception": "paper"}


def training(batch_size):
    return TrainingPlan("adam", 1e-3, batch_size, 0.99, {})


def nca(steps=4, patch=(24, 24), size=(64, 64), n_image=1, n_outputs=3, batch_size=8, **changes):
    levels = (LevelPlan((4, 4), 10), LevelPlan((1, 1), steps, patch))
    plan = NCAPlan(**CELL, levels=levels, training=training(batch_size))
    return nca_cost.step_bytes(replace(plan, **changes), size, n_image, n_outputs)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 5},
        {"patch": (32, 32)},
        {"patch": None},
        {"size": (96, 64)},
        {"n_image": 3},
        {"n_outputs": 5},
        {"channels": 24},
        {"hidden": 96},
        {"batch_size": 9},
    ],
)
def test_more_of_anything_takes_more_memory_in_an_nca(change):
    assert nca(**change) > nca()


@pytest.mark.parametrize(
    ("steps", "batch", "keep_every", "measured_mb"), [(8, 4, 0, 405), (20, 4, 1, 220), (20, 4, 2, 227)]
)
def test_nca_memory_follows_the_measured_peaks(steps, batch, keep_every, measured_mb):
    """Of the steps of one level, 128x128 cells, C16 H64: the maps of images and the first step's workspaces aside."""
    plan = NCAPlan(**CELL, levels=(LevelPlan((1, 1), steps),), training=training(batch), keep_every=keep_every)
    expected = nca_cost.step_bytes(plan, (128, 128), 1, 3)
    aside = LIBRARY_BYTES + batch * 128 * 128 * 4 * IMAGE_MAPS * FLOAT_BYTES
    assert expected - aside == pytest.approx(measured_mb * 1e6, rel=0.15)


def test_less_is_kept_where_states_are_computed_again():
    kept = [nca(steps=40, patch=None, keep_every=every) for every in (0, 1, 4, 40)]
    assert kept[1] < kept[0] / 3 and kept[2] < kept[0] / 3
    assert kept[3] > kept[2]  # between two states that far apart, everything is kept for a while


def test_cells_that_do_not_fire_take_no_hidden_units():
    """Published network, prostate: 64 steps on 32x32 cells at each of two levels, 24 images of 128x128."""
    levels = (LevelPlan((4, 4), 64), LevelPlan((1, 1), 64, (32, 32)))

    def takes(fire_rate, batch, keep_every=0, device="cpu"):
        form = {**PUBLISHED, "fire_rate": fire_rate}
        plan = NCAPlan(**form, levels=levels, training=training(batch), keep_every=keep_every)
        return nca_cost.step_bytes(plan, (128, 128), 1, 2, device)

    assert takes(0.5, 24) == pytest.approx(1713e6, rel=0.1)  # results/benchmarks/memory.md at 377a6d6
    assert takes(0.75, 24) == takes(0.5, 24, device="cuda") > 1.2 * takes(0.5, 24)  # the dense form computes all cells
    assert takes(0.5, 48, keep_every=6) == pytest.approx(771e6, rel=0.15)  # results/benchmarks/memory.md


def test_pass_counts_cells_and_steps_of_every_level():
    levels = (LevelPlan((2, 2), 10), LevelPlan((1, 1), 4, (8, 8)))  # the patch does not count
    plan = NCAPlan(**CELL, levels=levels, training=None)
    per_cell = 2 * (16 * 9 * 64 + 64 * 16)
    assert nca_cost.flop(plan, (16, 16)) == 3 * per_cell * (64 * 10 + 256 * 4)
