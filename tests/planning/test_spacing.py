from dataclasses import replace

import numpy as np
import pytest

from mednca_pipeline.planning.planner import make_plans
from mednca_pipeline.planning.sizes import jump_shares
from mednca_pipeline.planning.spacing import adjacent_slices, slicing_axis, target_spacing

from .made_fingerprints import make_case, make_fingerprint


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


@pytest.mark.parametrize(
    ("spacing", "jumps", "axis"),
    [
        ((1, 1, 1), (0.010, 0.061, 0.038), 1),
        ((1, 1, 1), (0.073, 0.028, 0.036), 0),
        ((1, 1, 1), (0.03, 0.02, 0.09), 2),
        ((1, 1, 1), (0.050, 0.060, 0.055), 0),  # not clearly more than the axial ones
        ((1, 1, 1), (0.001, 0.009, 0.002), 0),  # too few to say
        ((3, 1, 1), (0.01, 0.08, 0.02), 0),  # the spacing decides
        ((1, 2, 2), (0.20, 0.01, 0.06), 2),  # among equal ones only
    ],
)
def test_axes_of_equal_spacing_are_cut_where_labels_jump_most(spacing, jumps, axis):
    assert slicing_axis(spacing, jumps).value == axis


def test_the_shares_of_all_axes_are_in_the_reason():
    assert "0.010, 0.061, 0.038" in slicing_axis((1, 1, 1), (0.010, 0.061, 0.038)).because
    assert "0.001, 0.009, 0.002" in slicing_axis((1, 1, 1), (0.001, 0.009, 0.002)).because


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


def test_labels_with_ignored_voxels_say_nothing_about_the_slices():
    """Where single axial slices are labelled, no label along z has a neighbour to jump from."""
    cases = [make_case(f"c{i}", (30, 30, 30), {"a": (9, 9, 9)}, jumps=((0, 30, 40), (0, 900, 900))) for i in range(6)]
    known = make_fingerprint(cases)
    assert jump_shares(known) == pytest.approx((0.0, 30 / 900, 40 / 900))
    sparse = replace(known, labels=replace(known.labels, ignore=9))
    assert jump_shares(sparse) == (0.0, 0.0, 0.0)
    slices = next(made for made in make_plans(sparse).decisions if made.name == "slices")
    assert slices.value == "axial"
