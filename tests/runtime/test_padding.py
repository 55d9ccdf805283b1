import numpy as np

from mednca_pipeline.runtime.padding import Pad


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
