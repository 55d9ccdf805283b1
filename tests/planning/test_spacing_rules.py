import numpy as np
import pytest

from mednca_pipeline.planning.spacing import adjacent_slices, slicing_axis, target_spacing, working_spacing


def test_target_is_the_median_of_each_axis():
    chosen = target_spacing(np.array([[1.0, 0.5, 0.5], [1.2, 0.6, 0.5], [5.0, 0.7, 0.5]]))
    assert chosen.value == (1.2, 0.6, 0.5)
    assert "median" in chosen.because


def test_strongly_anisotropic_axis_takes_its_tenth_percentile():
    z = np.arange(2.0, 13.0)  # 10th percentile 3, median 7
    spacings = np.stack([z, np.full(11, 1.0), np.full(11, 1.0)], axis=1)
    chosen = target_spacing(spacings)
    assert chosen.value == (3.0, 1.0, 1.0)
    assert "7.0 times coarser" in chosen.because


def test_anisotropic_axis_does_not_become_finer_than_the_others():
    spacings = np.array([[0.2, 1.0, 1.0]] + [[4.0, 1.0, 1.0]] * 4)
    assert target_spacing(spacings).value == (pytest.approx(1.72), 1.0, 1.0)  # 0.2 + 0.4 * 3.8
    spacings = np.array([[0.2, 1.0, 1.0]] * 2 + [[4.0, 1.0, 1.0]] * 4)
    assert target_spacing(spacings).value == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("spacing", "axis"), [((1, 1, 1), 0), ((3, 1, 1), 0), ((1, 1, 4), 2), ((1, 2, 2), 1), ((1.0, 1.0, 1.2), 0)]
)
def test_slices_cut_the_coarsest_axis_and_axial_among_equals(spacing, axis):
    assert slicing_axis(spacing).value == axis


def test_long_images_are_capped_at_128():
    chosen = working_spacing((1.0, 1.0), (400, 512), (100.0, 90.0))
    assert chosen.value == (4.0, 4.0)
    assert "512" in chosen.because and "restored" in chosen.because


def test_images_of_128_stay_as_they_are():
    assert working_spacing((0.5, 0.5), (128, 100), (5.0, 5.0)).value == (0.5, 0.5)


def test_smallest_structure_keeps_twelve_working_pixels():
    chosen = working_spacing((1.0, 1.0), (1024, 1024), (24.0, 40.0))  # 4 would leave 6 pixels
    assert chosen.value == (2.0, 2.0)
    assert "only as coarse" in chosen.because
    small = working_spacing((1.0, 1.0), (2048, 2048), (8.0, 8.0))
    assert small.value == (1.0, 1.0)
    assert "fewer than 12" in small.because


def test_working_resolution_leaves_a_coarser_axis_alone():
    chosen = working_spacing((5.0, 0.5, 0.5), (20, 512, 512), (10.0, 30.0, 30.0))
    assert chosen.value == (5.0, 2.0, 2.0)


def test_near_slices_are_seen_three_on_either_side_and_others_two():
    assert adjacent_slices(1.5, (1.0, 0.5), 1).value == 3
    far = adjacent_slices(1.6, (1.0, 0.5), 1)
    assert far.value == 2 and "1.6 times" in far.because
    unknown = adjacent_slices(None, (1.0, 1.0), 1)
    assert unknown.value == 2 and "not known" in unknown.because


@pytest.mark.parametrize(("n_channels", "slices"), [(1, 3), (2, 1), (3, 1), (4, 1)])
def test_fewer_slices_of_many_channels(n_channels, slices):
    chosen = adjacent_slices(1.0, (1.0, 1.0), n_channels)
    assert chosen.value == slices
    assert ("too many" in chosen.because) == (slices < 3)
