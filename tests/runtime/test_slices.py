"""Adjacent slices as channels: the same for a whole volume as for one slice cut out of it."""

import numpy as np
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd

from mednca_pipeline.runtime.slices import centred_slice, with_adjacent

VOLUME = np.arange(2 * 4 * 1 * 1, dtype=np.float32).reshape(2, 4, 1, 1)  # channel 0: slices 0..3, channel 1: 4..7


def test_channels_of_the_slice_below_then_its_own_then_of_the_slice_above():
    seen = with_adjacent(VOLUME, 1)[..., 0, 0]
    assert seen[:, 1].tolist() == [0, 4, 1, 5, 2, 6]
    assert seen[:, 0].tolist() == [0, 4, 0, 4, 1, 5]  # the first slice stands for the one below it
    assert seen[:, 3].tolist() == [2, 6, 3, 7, 3, 7]
    np.testing.assert_array_equal(with_adjacent(VOLUME, 0), VOLUME)
    np.testing.assert_array_equal(with_adjacent(VOLUME, 1, range(1, 3))[..., 0, 0], seen[:, 1:3])


def test_a_slice_cut_for_training_is_what_prediction_sees():
    volume = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype(np.float32)
    for index in range(5):
        window = crop_and_pad_nd(volume, [[index - 2, index + 3], [0, 3], [0, 4]], pad_mode="edge")
        np.testing.assert_array_equal(centred_slice(window), with_adjacent(volume, 2)[:, index])
