"""What a UNet costs: the memory of a training step, and its parameters."""

import pytest

from mednca_pipeline.models import unet_cost
from mednca_pipeline.models.unet import UNet
from mednca_pipeline.planning.unet_topology import features, topology
from mednca_pipeline.plans.model_plans import TrainingPlan, UNetPlan


def training(batch_size):
    return TrainingPlan("adam", 1e-3, batch_size, 0.99, {})


def unet(patch=(64, 64), features=(16, 32, 64), batch_size=4):
    strides, kernels = ((1, 1), (2, 2), (2, 2)), ((3, 3),) * 3
    return unet_cost.step_bytes(UNetPlan(features, strides, kernels, patch, training(batch_size)), 1, 3)


@pytest.mark.parametrize("change", [{"patch": (128, 64)}, {"features": (32, 64, 128)}, {"batch_size": 5}])
def test_more_of_anything_takes_more_memory_in_a_unet(change):
    assert unet(**change) > unet()


@pytest.mark.parametrize(
    ("size", "spacing", "n_image"), [((56, 40), (1, 1), 1), ((16, 64, 64), (5, 1, 1), 2), ((16, 16), (1, 1), 3)]
)
def test_parameters_are_those_of_the_built_network(size, spacing, n_image):
    made = topology(size, spacing)
    widths = features(len(made.strides), 4, 16)
    plan = UNetPlan(widths, made.strides, made.kernel_sizes, made.patch, None)
    network = UNet(plan, len(size), n_image, 3, False)
    assert unet_cost.parameters(plan, n_image, 3) == sum(weight.numel() for weight in network.parameters())
