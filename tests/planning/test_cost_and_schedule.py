import pytest

from mednca_pipeline.planning.cost import default_config, nca_pass_flop, small_unet_batch
from mednca_pipeline.planning.schedule import MINUTES, stretch, training_minutes
from mednca_pipeline.planning.unet_topology import topology
from mednca_pipeline.plans.plans import LevelPlan, NCAPlan


def nca(*levels):
    return NCAPlan(16, 64, 0.75, "rms", "replicate", "matrix", levels, None)


def test_pass_counts_cells_and_steps_of_every_level():
    plan = nca(LevelPlan((2, 2), 10), LevelPlan((1, 1), 4, (8, 8)))  # the patch does not count
    per_cell = 2 * (16 * 9 * 64 + 64 * 16)
    assert nca_pass_flop(plan, (16, 16)) == 3 * per_cell * (64 * 10 + 256 * 4)


@pytest.mark.parametrize(("flop", "config"), [(None, "2d"), (4e9, "3d"), (5e9, "2d"), (80e9, "2d")])
def test_volumes_are_3d_by_default_only_below_5_gflop(flop, config):
    assert default_config(flop).value == config


def test_small_unet_batch_shrinks_with_the_cost_of_an_image():
    small, large = topology((56, 40), (1, 1), 4), topology((512, 512), (1, 1), 4)
    assert small_unet_batch(small, (16, 32, 64, 128), 1) == 16
    assert small_unet_batch(large, (16, 32, 64, 64, 64), 1) == 4


@pytest.mark.parametrize("size", [(56, 40), (44, 56, 40)])
def test_hippocampus_trains_no_longer_than_30_minutes(size):
    assert all(training_minutes(model, size, 260)["cpu"] <= 30 for model in MINUTES)
    assert training_minutes("mednca", size, 260) == {"cpu": 20.0, "cuda": 10.0}


def test_larger_images_and_datasets_train_longer_but_modestly():
    assert stretch((256, 256), 100) == pytest.approx(2.0)  # 16 times the pixels
    assert stretch((64, 64), 8000) == pytest.approx(2.0)  # 16 times the cases
    assert stretch((4096, 4096), 10**6) == 3.0
