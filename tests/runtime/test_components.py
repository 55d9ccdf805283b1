"""Connected components in NumPy against SciPy's."""

import numpy as np
import pytest
from scipy import ndimage

from mednca_pipeline.runtime.components import outside_largest


def by_scipy(mask, n):
    components, count = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    voxels = np.bincount(components.reshape(-1), minlength=count + 1)[1:]
    islands = np.argsort(-voxels, kind="stable")[n:]  # SciPy numbers components in memory order
    return np.isin(components, 1 + islands), len(islands)


@pytest.mark.parametrize("shape", [(40,), (1, 30), (30, 1), (23, 31), (1, 17, 19), (9, 1, 11), (7, 11, 13)])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.7, 0.95])
def test_the_same_voxels_as_scipy(shape, share):
    for seed in range(8):
        mask = np.random.default_rng(seed).random(shape) < share
        for n in (1, 2, 5):
            outside, islands = outside_largest(mask, n)
            expected, count = by_scipy(mask, n)
            np.testing.assert_array_equal(outside, expected)
            assert islands == count


@pytest.mark.parametrize("shape", [(5,), (4, 5), (3, 4, 5)])
def test_nothing_and_everything_have_no_islands(shape):
    for value in (False, True):
        outside, islands = outside_largest(np.full(shape, value))
        assert islands == 0 and not outside.any() and outside.shape == shape


def test_a_spiral_is_one_component_and_a_dot_within_it_an_island():
    mask = np.zeros((101, 101), bool)
    top, bottom, left, right = 0, 100, 0, 100
    while right - left > 8:  # each winding starts two lines farther in, where the one before ends
        mask[top, left : right + 1] = mask[top : bottom + 1, right] = mask[bottom, left + 2 : right + 1] = True
        mask[top + 2 : bottom + 1, left + 2] = True
        top, bottom, left, right = top + 2, bottom - 2, left + 2, right - 2
    mask[50, 50] = True
    outside, islands = outside_largest(mask)
    expected, count = by_scipy(mask, 1)
    assert islands == count == 1
    np.testing.assert_array_equal(outside, expected)


def test_views_that_are_not_contiguous():
    mask = np.random.default_rng(0).random((20, 21, 22)) < 0.1
    np.testing.assert_array_equal(
        outside_largest(mask.transpose(2, 0, 1)[:, ::-1])[0], by_scipy(mask.transpose(2, 0, 1)[:, ::-1], 1)[0]
    )
