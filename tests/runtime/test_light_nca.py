"""The NumPy NCA computes what the plain form says, in as few cells."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mednca_pipeline.models import prediction
from mednca_pipeline.models.mednca import MedNCA
from mednca_pipeline.plans.model_plans import LevelPlan, NCAPlan, TrainingPlan
from mednca_pipeline.runtime import light_nca
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.fire_masks import RandomRun, fire_masks, fires_at
from mednca_pipeline.runtime.folding import Architecture
from mednca_pipeline.runtime.folding import light_nca as folded
from mednca_pipeline.runtime.light_nca import level_by_level, pyramid
from mednca_pipeline.runtime.outline import Outline
from mednca_pipeline.runtime.weights import FoldWeights

FIRE_RATE = 0.6
THREE = (LevelPlan((4, 4), 3), LevelPlan((2, 2), 3), LevelPlan((1, 1), 2))
ANISOTROPIC = (LevelPlan((4, 8), 2), LevelPlan((4, 2), 3), LevelPlan((1, 2), 1), LevelPlan((1, 1), 2))
THREE_3D = (LevelPlan((1, 4, 4), 2), LevelPlan((1, 2, 2), 2), LevelPlan((1, 1, 1), 2))
PLAN = NCAPlan(9, 12, FIRE_RATE, "layer", "replicate", "matrix", (), TrainingPlan("muon", 0.02, 2, 0.99, {"cpu": 1.0}))
OUTLINE = Outline(eps=0.05, halo=1)


def make(levels, sigmoid=False, sharpness=8.0, n_image=2, **changes):
    """A network whose logits follow the sign of the first image channel, so that it is sure away from the zeros."""
    torch.manual_seed(0)
    plan = replace(PLAN, levels=levels, **changes)
    network = MedNCA(plan, len(levels[0].factor), n_image, 3, sigmoid).eval()
    centre = (..., *(1,) * network.dim)
    with torch.no_grad():
        for cell in network.cells:
            cell.update.weight.normal_(0, 0.1)
            first = n_image if plan.perception == "paper" else 0  # the published layer also has rows for the image
            if plan.perception == "matrix":
                cell.hidden.weight[0], cell.hidden.weight[1] = 0, 0
                cell.hidden.weight[0, 0][centre], cell.hidden.weight[1, 0][centre] = 5, -5
            cell.update.weight[first, 0], cell.update.weight[first + 1, 1] = sharpness, sharpness
    return network


def make_image(size, seed=0):
    """(B, 2, *size): a large blob of another sign than what is around it, and noise."""
    generator = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, side) for side in size), indexing="ij"))
    blob = np.where(np.square(grid - 0.2).sum(axis=0) < 0.3, 1.0, -1.0)
    image = np.stack([blob, generator.normal(size=size)]) + generator.normal(0, 0.05, (2, *size))
    batch = 3 if len(size) == 2 else 1
    return np.stack([np.roll(image, 2 * index, axis=-1) for index in range(batch)]).astype(np.float32)


def light(network):
    plan = network.plan
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    levels = tuple((level.factor, level.steps) for level in plan.levels)
    cell = {"fire_rate": plan.fire_rate, "border": plan.border, "norm": plan.norm, "sigmoid": network.sigmoid}
    form = Architecture(levels, plan.channels, network.n_image, n_outputs=3, **cell)
    return folded(FoldWeights(weights, "memory"), form)


def both(network, image, outline, runs=()):
    """(found, expected) probabilities (B, K, *spatial) of the expected update and each run, after each level."""
    small, dim = light(network), network.dim
    seen = pyramid(small, np.moveaxis(image, 0, 1))
    found = list(level_by_level(small, seen, outline, [partial_fires(run, dim) for run in runs]))
    masks = [partial_masks(run, dim, len(image)) for run in runs]
    with torch.inference_mode():
        states = list(prediction.level_states(network, torch.from_numpy(image), outline, [None, *masks]))
    activate = torch.sigmoid if network.sigmoid else lambda logits: logits.softmax(dim=1)
    for passed, plain in zip(found, states, strict=True):
        for index, state in enumerate(plain):
            expected = activate(network.logits(state)).numpy()
            yield np.moveaxis(passed.probabilities(index), 0, 1), expected
    assert found[0].computed == (1.0,)


def partial_fires(run, dim):
    return lambda level, steps, cells: fires_at(RandomRun(5, run, FIRE_RATE), level, range(steps), cells)


def partial_masks(run, dim, batch):
    def fires(level, steps, grid):
        shape = (batch, *grid)  # slices are the first axis of the grid
        whole = fire_masks(RandomRun(5, run, FIRE_RATE), level, range(steps), shape)
        return torch.from_numpy(whole)[:, :, None]

    return fires


def assert_same(network, image, outline, runs=()):
    for found, expected in both(network, image, outline, runs):
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("outline", [None, OUTLINE, Outline(0.3, 2)])
@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("border", ["replicate", "reflect", "zeros"])
@pytest.mark.parametrize(
    ("levels", "size"),
    [(THREE, (36, 52)), (THREE, (4, 8)), (ANISOTROPIC, (20, 48)), (THREE_3D, (5, 20, 28))],
)
def test_the_plain_form(levels, size, border, sigmoid, outline):
    if border == "reflect" and min(size) == 4:
        pytest.skip("a grid of one cell has nothing to reflect")
    assert_same(make(levels, sigmoid, border=border), make_image(size), outline)


@pytest.mark.parametrize("norm", ["none", "layer", "rms"])
@pytest.mark.parametrize("perception", ["matrix", "paper"])
@pytest.mark.parametrize("levels", [THREE, THREE_3D])
def test_every_form_of_the_cell(levels, perception, norm):
    size = (36, 52) if levels is THREE else (5, 20, 28)
    assert_same(make(levels, perception=perception, norm=norm), make_image(size), OUTLINE)


@pytest.mark.parametrize("levels", [THREE, THREE_3D])
@pytest.mark.parametrize(("n_image", "channels"), [(1, 8), (1, 4), (2, 5)])  # down to the outputs alone
def test_any_number_of_channels(levels, n_image, channels):
    size = (36, 52) if levels is THREE else (5, 20, 28)
    network = make(levels, n_image=n_image, channels=channels)
    assert_same(network, make_image(size)[:, :n_image], OUTLINE)


@pytest.mark.parametrize("outline", [None, OUTLINE])
@pytest.mark.parametrize(("levels", "size"), [(THREE, (36, 52)), (THREE_3D, (5, 20, 28))])
def test_random_runs_beside_the_expected_update(levels, size, outline):
    assert_same(make(levels), make_image(size), outline, runs=(0, 3))


@pytest.mark.parametrize("rows", [1, 7])
def test_in_pieces_and_with_the_images_part_computed_anew(rows, monkeypatch):
    monkeypatch.setattr(light_nca, "ROWS", rows)
    monkeypatch.setattr(light_nca, "BASE_BYTES", 0)
    assert_same(make(THREE), make_image((12, 16)), OUTLINE, runs=(1,))


def test_few_cells_are_computed_and_all_others_keep_what_they_were_given():
    network, image = make(THREE), make_image((96, 96))
    small = light(network)
    first, second, third = level_by_level(small, pyramid(small, np.moveaxis(image, 0, 1)), OUTLINE)
    assert first.computed[0] == 1 and 0 < third.computed[2] < third.computed[1] < 0.5
    coarse = first.probabilities()
    fine = third.probabilities()
    assert np.array_equal(fine[:, 0, :4, :4], np.broadcast_to(coarse[:, 0, :1, :1], (3, 4, 4)))  # a corner, far away
    assert len(np.unique(fine.argmax(axis=0))) > 1


def test_nothing_is_computed_where_everything_is_sure():
    network = make(THREE)
    image = np.ones((1, 2, 16, 16), np.float32)
    small = light(network)
    *_, last = level_by_level(small, pyramid(small, np.moveaxis(image, 0, 1)), OUTLINE)
    assert last.computed == (1.0, 0.0, 0.0)
    assert_same(network, image, OUTLINE)


def test_everything_is_computed_where_nothing_is_sure():
    network = make(THREE, sharpness=0.0)
    image = make_image((16, 24))
    small = light(network)
    *_, last = level_by_level(small, pyramid(small, np.moveaxis(image, 0, 1)), Outline(1e-6, 1))
    assert last.computed == (1.0, 1.0, 1.0)
    assert_same(network, image, Outline(1e-6, 1))
    assert_same(network, image, None)


def test_random_runs_end_before_the_levels_that_are_not_asked_for():
    small, image = light(make(THREE)), make_image((36, 52))
    seen = pyramid(small, np.moveaxis(image, 0, 1))
    shorter = list(level_by_level(small, seen, OUTLINE, [partial_fires(0, 2)], run_levels=2))
    longer = list(level_by_level(small, seen, OUTLINE, [partial_fires(0, 2)]))
    assert [len(passed.states) for passed in shorter] == [2, 2, 1]
    assert np.array_equal(shorter[2].probabilities(), longer[2].probabilities())
    assert np.array_equal(shorter[1].probabilities(1), longer[1].probabilities(1))


def test_the_deviation_of_a_run_is_that_of_its_probabilities():
    small, image = light(make(THREE)), make_image((36, 52))
    *_, last = level_by_level(small, pyramid(small, np.moveaxis(image, 0, 1)), OUTLINE, [partial_fires(0, 2)])
    expected, drawn = last.probabilities(0), last.probabilities(1)
    difference, total = last.deviation(1)
    outputs = (1, 2, 3)
    np.testing.assert_allclose(difference[:3], np.abs(expected - drawn).sum(axis=outputs), rtol=1e-4)
    np.testing.assert_allclose(total[:3], expected.sum(axis=outputs), rtol=1e-4)
    np.testing.assert_allclose(difference[3], np.abs(expected[0] - drawn[0]).sum(), rtol=1e-4)
    np.testing.assert_allclose(total[3], (1 - expected[0]).sum(), rtol=1e-4)


def test_weights_of_another_plan_are_refused():
    network = make(THREE)
    for changed, message in ((replace(network.plan, channels=10), "cells.0.hidden.weight"), (THREE[:2], "more than 2")):
        network.plan = changed if isinstance(changed, NCAPlan) else replace(make(THREE).plan, levels=changed)
        with pytest.raises(InputError, match=message):
            light(network)


def test_fires_at_are_the_whole_masks_values():
    cells = np.sort(np.random.default_rng(0).choice(330, 100, replace=False))
    for seed in (0, 2**40 + 3):
        whole = fire_masks(RandomRun(seed, 2, 0.75), 1, range(5), (3, 10, 11)).reshape(5, -1)
        np.testing.assert_array_equal(fires_at(RandomRun(seed, 2, 0.75), 1, range(5), cells), whole[:, cells])
    assert fires_at(RandomRun(0, 0, 1.0), 0, range(2), cells).all()
    assert not fires_at(RandomRun(0, 0, 0.0), 0, range(2), cells).any()
    assert fires_at(RandomRun(0, 0, 0.5), 0, range(3), cells[:0]).shape == (3, 0)
