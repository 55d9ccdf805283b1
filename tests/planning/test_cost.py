import pytest

from mednca_pipeline.planning.cost import default_config, small_unet_batch
from mednca_pipeline.planning.unet_topology import topology
from mednca_pipeline.plans.model_plans import UNetPlan


@pytest.mark.parametrize(("of_3d", "config"), [(None, "2d"), (4e9, "3d"), (5e9, "2d"), (80e9, "2d")])
def test_volumes_are_3d_by_default_only_below_5_gflop(of_3d, config):
    assert default_config(of_3d).value == config


def test_small_unet_batch_shrinks_with_the_cost_of_an_image():
    for size, widths, batch in (((56, 40), (16, 32, 64, 128), 16), ((512, 512), (16, 32, 64, 64, 64), 4)):
        made = topology(size, (1, 1), 4)
        assert small_unet_batch(UNetPlan(widths, made.strides, made.kernel_sizes, made.patch, None), 1) == batch
