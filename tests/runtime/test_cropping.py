import numpy as np

from mednca_pipeline.runtime.cropping import Crop, inside, nonzero_box


def test_crop_to_nonzero_of_any_channel():
    array = np.zeros((2, 5, 6))
    array[0, 1, 4] = array[1, 3, 2] = -1
    assert nonzero_box(array) == ((1, 4), (2, 5))
    assert array[inside(nonzero_box(array))].shape == (2, 3, 3)
    assert nonzero_box(np.zeros((1, 5, 6))) == ((0, 5), (0, 6))


def test_what_was_cropped_is_put_back():
    whole = Crop(((1, 2), (0, 2)), (3, 3)).inverse(np.ones((1, 2)), outside=7)
    assert whole.tolist() == [[7, 7, 7], [1, 1, 7], [7, 7, 7]]
