"""Plans for phantoms whose structures a fixed working size would lose."""

import numpy as np
import pytest

from mednca_pipeline.models import nca_cost, unet_cost
from mednca_pipeline.planning.memory import available_bytes
from mednca_pipeline.planning.planner import make_plans

from ..way_to_the_grid import dice_of_grid
from .hard_phantoms import ONE, fingerprint_of, small_lesion, thick_slices, vessel_tree

pytestmark = pytest.mark.slow

PHANTOMS = {
    "tubes of 2 pixels": (vessel_tree, (1.0, 1.0)),
    "a lesion of 8 pixels": (small_lesion, (1.0, 1.0)),
    "slices ten times as far apart": (thick_slices, (5.0, 0.5, 0.5)),
}


@pytest.fixture(scope="module", params=PHANTOMS)
def planned(request):
    """The phantom's name, its cases, their spacing, and the plans."""
    draw, spacing = PHANTOMS[request.param]
    cases = [draw(np.random.default_rng(seed)) for seed in range(3)]
    return request.param, cases, spacing, make_plans(fingerprint_of(cases, spacing))


def test_thin_and_small_structures_stay_native_and_large_ones_are_coarsened_in_plane(planned):
    name, _, spacing, plans = planned
    if name == "slices ten times as far apart":
        assert plans.configs["2d"].preprocessing.axis_order == (0, 1, 2)
        assert plans.configs["2d"].preprocessing.spacing_mm[0] is None
        assert plans.configs["3d"].preprocessing.spacing_mm[0] == spacing[0]
        assert all(min(config.preprocessing.spacing_mm[1:]) > 2 * spacing[1] for config in plans.configs.values())
    else:
        assert plans.config().preprocessing.spacing_mm == (None, *spacing)


def test_the_labels_survive_the_planned_grid(planned):
    _, cases, spacing, plans = planned
    for config in plans.configs.values():
        dice = [dice_of_grid(labels, spacing, ONE, config.preprocessing)["structure"] for labels in cases]
        assert np.mean(dice) >= 0.99


def test_a_step_of_every_network_fits_the_memory(planned):
    plans = planned[-1]
    room = available_bytes(plans.memory_bytes)
    for config in plans.configs.values():
        for nca in (config.models["mednca"], config.models["mednca_paper"]):
            takes = nca_cost.step_bytes(nca, config.image_size, plans.input_channels(nca), ONE.n_outputs)
            assert takes <= room
        for unet in (config.models["unet"], config.models["unet_small"]):
            assert unet_cost.step_bytes(unet, plans.input_channels(unet), ONE.n_outputs) <= room
        batches = [config.model(name).training.batch_size for name in ("mednca", "unet", "unet_small")]
        assert min(batches) >= 2
