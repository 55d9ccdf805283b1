"""Resampling matrices by hand-derived weights, and what they must preserve."""

import numpy as np
import pytest

from mednca_pipeline.runtime.padding import Pad
from mednca_pipeline.runtime.resampling import (
    CUBIC,
    LINEAR,
    NEAREST,
    anisotropic_axis,
    image_orders,
    interpolation_matrix,
    label_orders,
    resample,
    resample_labels,
)

SHAPES = [(5, 9, 17), (9, 5, 130), (7, 7, 7), (1, 3, 40)]


def test_linear_weights_at_voxel_centres():
    assert resample(np.array([0.0, 1.0]), (4,), LINEAR).tolist() == [0, 0.25, 0.75, 1]


def test_cubic_weights_half_way_between_voxels():
    row = interpolation_matrix(8, 4, CUBIC)[1]  # output 1 lies at 2.5
    assert row.tolist() == [0, -1 / 16, 9 / 16, 9 / 16, -1 / 16, 0, 0, 0]


def test_antialiased_linear_kernel_is_widened_by_the_factor():
    row = interpolation_matrix(8, 4, LINEAR, antialias=True)[1]  # triangle of half width 2 at 2.5
    assert row == pytest.approx([0, 0.125, 0.375, 0.375, 0.125, 0, 0, 0])


def test_edges_are_replicated():
    row = interpolation_matrix(2, 4, CUBIC)[0]  # at -0.25: what lies left of voxel 0 counts as voxel 0
    right = -0.5 * 1.25**3 + 2.5 * 1.25**2 - 4 * 1.25 + 2  # Keys' kernel at distance 1.25
    assert row == pytest.approx([1 - right, right], abs=1e-6)


def test_nearest():
    assert resample(np.array([3.0, 5.0, 8.0]), (6,), NEAREST).tolist() == [3, 3, 5, 5, 8, 8]


@pytest.mark.parametrize("order", [NEAREST, LINEAR, CUBIC])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_constants_are_preserved(order, antialias, shape):
    resampled = resample(np.full((2, 7, 7, 70), 3.5), shape, order, antialias)
    assert resampled.shape == (2, *shape)
    assert resampled == pytest.approx(3.5, abs=1e-5)


@pytest.mark.parametrize("order", [LINEAR, CUBIC])
@pytest.mark.parametrize(
    ("size", "new", "antialias"), [(10, 23, False), (24, 17, False), (24, 12, True), (150, 50, True)]
)
def test_ramps_are_reproduced_in_the_interior(order, size, new, antialias):
    ramp = np.broadcast_to(np.arange(size, dtype=np.float32)[:, None], (size, 3))
    expected = (np.arange(new) + 0.5) * size / new - 0.5
    margin = int(np.ceil(2 * new / size * max(1, size / new))) + 1
    inside = slice(margin, new - margin)
    assert resample(ramp, (new, 3), order, antialias)[inside, 1] == pytest.approx(expected[inside], abs=2e-4)


def test_antialiasing_removes_what_the_new_grid_cannot_hold():
    stripes = np.tile([0.0, 1.0, 1.0, 0.0, 0.0], 40)
    assert np.ptp(resample(stripes, (50,), CUBIC)[3:-3]) > 0.5
    assert np.ptp(resample(stripes, (50,), CUBIC, antialias=True)[3:-3]) < 0.1


def test_axes_are_separable_and_their_order_does_not_matter():
    array = np.random.default_rng(0).random((2, 6, 9, 12))
    matrices = [interpolation_matrix(size, new, CUBIC) for size, new in ((6, 8), (9, 5), (12, 30))]
    expected = np.einsum("czyx,iz,jy,kx->cijk", array, *matrices)
    assert resample(array, (8, 5, 30), CUBIC) == pytest.approx(expected, abs=1e-5)


def test_blocks_of_long_axes_fit_together():
    signal = np.random.default_rng(1).random((3, 300))
    whole = interpolation_matrix(300, 170, CUBIC, antialias=True)
    assert resample(signal, (170,), CUBIC, antialias=True) == pytest.approx(signal @ whole.T, abs=1e-5)
    assert resample(signal.T, (170, 3), CUBIC, antialias=True) == pytest.approx(whole @ signal.T, abs=1e-5)


def test_unchanged_shape_returns_the_array_itself():
    array = np.random.default_rng(0).random((1, 4, 5, 6)).astype(np.float32)
    assert resample(array, (4, 5, 6), CUBIC) is array


def test_orders_per_axis():
    array = np.array([[0.0, 1.0], [10.0, 11.0]])
    assert resample(array, (4, 4), (NEAREST, LINEAR))[1].tolist() == [0, 0.25, 0.75, 1]


def test_labels_take_the_value_that_covers_most():
    labels = np.array([0, 0, 5, 5, 5, 2], np.uint8)
    resampled = resample_labels(labels, (3,), LINEAR)
    assert resampled.tolist() == [0, 5, 2] or resampled.tolist() == [0, 5, 5]
    assert resample_labels(labels, (12,), LINEAR).tolist() == [0, 0, 0, 0, 5, 5, 5, 5, 5, 5, 2, 2]
    assert resampled.dtype == np.uint8


def test_labels_of_one_value_and_labels_unchanged():
    assert resample_labels(np.full((2, 2), 7, np.int16), (3, 3), LINEAR).tolist() == [[7] * 3] * 3
    labels = np.array([[0, 1]], np.uint8)
    assert resample_labels(labels, (1, 2), LINEAR) is labels


def test_resampled_labels_never_invent_a_value():
    labels = np.random.default_rng(3).choice([0, 3, 200], size=(6, 7, 8)).astype(np.int16)
    assert set(np.unique(resample_labels(labels, (9, 5, 13), LINEAR))) <= {0, 3, 200}


@pytest.mark.parametrize(
    ("found", "target", "axis"),
    [
        ((3.0, 0.5, 0.5), (3.0, 0.5, 0.5), 0),
        ((1.0, 1.0, 1.0), (0.5, 4.0, 0.5), 1),
        ((1.0, 1.0, 2.9), (1.0, 1.0, 1.0), None),
        ((4.0, 4.0, 1.0), (4.0, 4.0, 1.0), None),
    ],
)
def test_a_strongly_anisotropic_axis_is_treated_apart(found, target, axis):
    assert anisotropic_axis(found, target, 3.0) == axis
    orders = tuple(LINEAR if index == axis else CUBIC for index in range(3))
    assert image_orders(found, target, 3.0) == orders
    assert label_orders(found, target, 3.0) == tuple(NEAREST if index == axis else LINEAR for index in range(3))


def test_padded_shape():
    assert Pad.to((30, 50, 17), (32, 48, 16), (4, 4, 8)).padded_shape == (32, 52, 24)
    assert Pad.to((30, 50), (1, 1), 16).padded_shape == (32, 64)


def test_pad_replicates_edges_around_the_centre_and_crops_back():
    array = np.arange(6.0).reshape(1, 2, 3)
    pad = Pad.to((2, 3), (4, 4), 2)
    padded = pad.forward(array)
    assert padded.shape == (1, 4, 4)
    assert padded[0].tolist() == [[0, 1, 2, 2], [0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert np.array_equal(pad.inverse(padded), array)
    assert Pad.to((4, 4), (4, 4), 2).forward(padded) is padded
