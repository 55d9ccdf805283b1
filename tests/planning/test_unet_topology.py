import math

import pytest

from mednca_pipeline.models.unet_cost import network_parameters
from mednca_pipeline.planning.unet_topology import features, fitting, small_features, topology


def test_axes_are_pooled_while_eight_voxels_are_left():
    made = topology((56, 40), (1, 1))
    assert made.strides == ((1, 1), (2, 2), (2, 2), (2, 2))  # 56 28 14 7 and 40 20 10 5
    assert made.patch == (56, 40)
    assert made.kernel_sizes == ((3, 3),) * 4


def test_patch_is_rounded_up_to_the_strides():
    assert topology((60, 42), (1, 1)).patch == (64, 48)


def test_anisotropic_axis_is_spared_until_the_others_caught_up():
    made = topology((20, 256, 256), (5.0, 0.7, 0.7))
    # spacing in plane 0.7, 1.4, 2.8: only then is 5 within twice the finest
    assert made.strides[:5] == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2))
    assert made.kernel_sizes[:3] == ((1, 3, 3), (1, 3, 3), (3, 3, 3))


def test_tiny_images_are_padded_for_three_stages():
    made = topology((4, 9), (1, 1))
    assert len(made.strides) == 3
    assert made.patch == (16, 16)


def test_features_double_up_to_their_limit():
    assert features(6, 32, 512) == (32, 64, 128, 256, 512, 512)
    assert features(4, 16, 24) == (16, 24, 24, 24)


@pytest.mark.parametrize(
    ("size", "spacing"),
    [((56, 40), (1, 1)), ((256, 256), (1, 1)), ((40, 56, 40), (1, 1, 1)), ((20, 64, 64), (5, 0.7, 0.7))],
)
def test_small_unet_has_about_half_a_million_parameters(size, spacing):
    made = topology(size, spacing, most_pools=4)
    chosen = small_features(made, 1, 3)
    assert 400_000 <= network_parameters(chosen, made.strides, made.kernel_sizes, 1, 3) <= 600_000


@pytest.mark.parametrize("size", [(128, 64), (17, 400), (30, 12)])
def test_patch_that_never_fits_ends_at_the_smallest(size):
    patch = fitting(size, (1, 1), lambda made: False).value.patch
    assert all(side <= 32 for side in patch)


def test_patch_shrinks_along_its_longest_side_until_it_fits():
    whole = fitting((128, 64), (1, 1), lambda made: True)
    assert whole.value.patch == (128, 64)
    assert "whole image" in whole.because
    part = fitting((128, 64), (1, 1), lambda made: math.prod(made.patch) <= 4096).value.patch
    assert math.prod(part) <= 4096
    assert part[0] >= part[1]
