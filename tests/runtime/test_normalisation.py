import numpy as np
import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.normalisation import normalise, percentiles


def test_zscore_has_mean_zero_and_sd_one_and_leaves_its_input_alone():
    array = np.random.default_rng(0).normal(500, 20, (1, 10, 11, 12)).astype(np.float32)
    before = array.copy()
    plain = normalise(array, ("zscore",), clip_percentiles=False)
    assert (plain.mean(), plain.std()) == pytest.approx((0, 1), abs=1e-4)
    assert np.array_equal(array, before)


def test_zscore_clips_outliers_first():
    array = np.linspace(-1, 1, 1000, dtype=np.float32)[None]
    outlier = array.copy()
    outlier[0, 0], outlier[0, -1] = -1e6, 1e6
    assert normalise(outlier, ("zscore",)) == pytest.approx(normalise(array, ("zscore",)), abs=0.01)
    assert abs(normalise(outlier, ("zscore",), clip_percentiles=False)[0, 1:-1]).max() < 1e-3


def test_a_few_bright_voxels_are_not_clipped_away():
    array = np.zeros((1, 1000), np.float32)
    array[0, 500:503] = 10
    normalised = normalise(array, ("zscore",))
    assert normalised[0, 501] > 10 > 0 > normalised[0, 0]


@pytest.mark.parametrize("value", [0, 7, 1e6, -0.1])
def test_constant_images_become_zero(value):
    assert not normalise(np.full((1, 4, 5), value, np.float32), ("zscore",)).any()


def test_ct_by_hand():
    array = np.array([[-2000.0, 0.0, 50.0, 3000.0]])
    assert normalise(array, ("ct",), ((50.0, 25.0, -100.0, 300.0),))[0].tolist() == [-6, -2, 0, 10]
    with pytest.raises(InputError, match="ct_statistics"):
        normalise(array, ("ct",))


def test_rgb_and_none_by_hand():
    array = np.array([[0, 255], [0, 255]], np.uint8)
    assert normalise(array, ("rgb", "none")).tolist() == [[-1, 1], [0, 255]]


def test_unknown_scheme_and_wrong_number_of_channels_are_named():
    with pytest.raises(InputError, match="zscore.*minmax"):
        normalise(np.zeros((1, 2)), ("minmax",))
    with pytest.raises(InputError, match="Expected 2 image channels.*found 1"):
        normalise(np.zeros((1, 2)), ("zscore", "zscore"))


def test_percentiles_of_huge_images_come_from_a_sample():
    columns = np.tile(
        np.arange(2000.0, dtype=np.float32), (2000, 1)
    )  # a stride of 4 would see a quarter of the columns
    assert percentiles(columns) == pytest.approx((10, 1989), abs=3)
    assert percentiles(np.arange(201.0)) == pytest.approx((1, 199))
