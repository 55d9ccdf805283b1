import pytest

from mednca_pipeline.models.nca_cost import flop
from mednca_pipeline.models.registry import MODELS
from mednca_pipeline.planning.cost import default_config, small_unet_batch
from mednca_pipeline.planning.schedule import stretch, training_minutes
from mednca_pipeline.planning.unet_topology import topology
from mednca_pipeline.plans.model_plans import LevelPlan, NCAPlan, UNetPlan


def nca(*levels):
    return NCAPlan(16, 64, 0.75, "rms", "replicate", "matrix", levels, None)


def test_pass_counts_cells_and_steps_of_every_level():
    plan = nca(LevelPlan((2, 2), 10), LevelPlan((1, 1), 4, (8, 8)))  # the patch does not count
    per_cell = 2 * (16 * 9 * 64 + 64 * 16)
    assert flop(plan, (16, 16)) == 3 * per_cell * (64 * 10 + 256 * 4)


@pytest.mark.parametrize(("of_3d", "config"), [(None, "2d"), (4e9, "3d"), (5e9, "2d"), (80e9, "2d")])
def test_volumes_are_3d_by_default_only_below_5_gflop(of_3d, config):
    assert default_config(of_3d).value == config


def test_small_unet_batch_shrinks_with_the_cost_of_an_image():
    for size, widths, batch in (((56, 40), (16, 32, 64, 128), 16), ((512, 512), (16, 32, 64, 64, 64), 4)):
        made = topology(size, (1, 1), 4)
        assert small_unet_batch(UNetPlan(widths, made.strides, made.kernel_sizes, made.patch, None), 1) == batch


@pytest.mark.parametrize("size", [(56, 40), (44, 56, 40)])
def test_hippocampus_trains_no_longer_than_30_minutes(size):
    assert all(training_minutes(model, size, 260)["cpu"] <= 30 for model in MODELS)
    assert training_minutes("mednca", size, 260) == {"cpu": 20.0, "cuda": 10.0}


def test_larger_images_and_datasets_train_longer_but_modestly():
    assert stretch((256, 256), 100) == pytest.approx(2.0)  # 16 times the pixels
    assert stretch((64, 64), 8000) == pytest.approx(2.0)  # 16 times the cases
    assert stretch((4096, 4096), 10**6) == 3.0
