"""The position of voxels as channels: the same for a whole image as for a window of it, and untouched by margins."""

import numpy as np

from mednca_pipeline.runtime.position import position_channels


def whole(*shape):
    return [(0, side) for side in shape]


def test_a_typical_image_goes_from_minus_one_to_one_around_its_centre():
    rows, columns = position_channels((4, 5), whole(4, 5), (4, 5))
    np.testing.assert_allclose(rows[:, 0], [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(columns[0], [-0.8, -0.4, 0, 0.4, 0.8], atol=1e-7)
    assert (rows == rows[:, :1]).all() and (columns == columns[:1]).all()
    assert rows.dtype == np.float32


def test_a_window_and_what_lies_beyond_the_image_go_on_as_they_would():
    image = position_channels((6, 8, 10), whole(6, 8, 10), (6, 9, 7))
    window = position_channels((6, 8, 10), [(2, 3), (-2, 12), (4, 10)], (6, 9, 7))
    np.testing.assert_array_equal(window[:, :, 2:10], image[:, 2:3, :, 4:])
    assert np.allclose(np.diff(window[1, 0, :, 0]), 2 / 9)


def test_a_margin_on_all_sides_leaves_the_places_inside():
    image = position_channels((6, 8), whole(6, 8), (7, 7))
    wide = position_channels((16, 18), whole(16, 18), (7, 7))
    np.testing.assert_array_equal(wide[:, 5:-5, 5:-5], image)


def test_slices_of_one_volume_know_their_own_place():
    depth = position_channels((3, 4, 4), whole(3, 4, 4), (3, 4, 4))[0, :, 0, 0]
    np.testing.assert_allclose(depth, [-2 / 3, 0, 2 / 3], atol=1e-7)


def test_pictures_have_two_axes_and_a_shift_moves_each():
    found = position_channels((1, 4, 4), whole(1, 4, 4), (4, 4))
    assert found.shape == (2, 1, 4, 4)
    moved = position_channels((1, 4, 4), whole(1, 4, 4), (4, 4), shift=(0.5, -0.25))
    np.testing.assert_allclose(moved - found, np.array([0.5, -0.25]).reshape(2, 1, 1, 1) * np.ones((1, 1, 4, 4)))
