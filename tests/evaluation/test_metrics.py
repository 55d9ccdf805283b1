"""Metrics of masks whose distances can be counted by hand."""

import math

import numpy as np
import pytest

from mednca_pipeline.evaluation.metrics import evaluate_case, mask_metrics
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.labels import Labels

ONE = Labels(("organ",), ((1,),))
TWO = Labels(("front", "back"), ((1,), (2,)))


def cube(shape, start, size):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(first, first + size) for first in start)] = True
    return mask


def test_cubes_shifted_by_one_voxel_along_the_coarse_axis():
    reference, prediction = cube((12, 12, 12), (3, 3, 3), 4), cube((12, 12, 12), (4, 3, 3), 4)
    found = mask_metrics(prediction, reference, (2.0, 1.0, 1.0), tolerance=1.0)
    assert found["dice"] == pytest.approx(2 * 48 / 128)  # 3 of 4 layers overlap
    assert found["hd95"] == pytest.approx(2.0)  # the end layer of 16 of 56 boundary voxels is one voxel, 2 mm, away
    assert found["volume_reference"] == found["volume_predicted"] == 64 * 2.0
    along_fine = mask_metrics(cube((12, 12, 12), (3, 4, 3), 4), reference, (2.0, 1.0, 1.0), tolerance=1.0)
    assert along_fine["hd95"] == pytest.approx(1.0)
    assert along_fine["nsd"] == pytest.approx(1.0)  # every boundary element is within 1 mm
    assert found["nsd"] < 0.85  # both caps are 2 mm off


def test_nsd_of_squares_is_the_share_of_the_outline_within_the_tolerance():
    """20 x 20 squares, one shifted by 3. Off by more than 1: both end sides, but for 1 at the corners on the other's
    long sides, and 3 - 1 of each long side."""
    reference, prediction = cube((40, 40), (5, 5), 20), cube((40, 40), (8, 5), 20)
    found = mask_metrics(prediction, reference, (1.0, 1.0), tolerance=1.0)
    assert found["hd95"] == pytest.approx(3.0)
    assert found["nsd"] == pytest.approx((80 - 2 * 20 + 2 * 1 - 2 * 2) / 80, abs=0.03)


def test_masks_at_the_border_have_a_boundary_there():
    reference = np.zeros((8, 8), bool)
    reference[:, :4] = True
    found = mask_metrics(np.ones((8, 8), bool), reference, (1.0, 1.0), tolerance=1.0)
    assert found["hd95"] == pytest.approx(4.0)
    assert mask_metrics(reference, reference, (1.0, 1.0), 1.0) == {
        "dice": 1.0, "hd95": 0.0, "nsd": 1.0, "volume_predicted": 32.0, "volume_reference": 32.0,
    }  # fmt: skip


def test_distances_depend_on_the_axis_order_of_the_spacing():
    reference, prediction = np.zeros((9, 9, 9), bool), np.zeros((9, 9, 9), bool)
    reference[1, 4, 4] = prediction[4, 4, 4] = True
    assert mask_metrics(prediction, reference, (5.0, 1.0, 1.0), 1.0)["hd95"] == pytest.approx(15.0)
    assert mask_metrics(prediction, reference, (1.0, 5.0, 1.0), 1.0)["hd95"] == pytest.approx(3.0)


def test_empty_masks_follow_the_stated_policy():
    empty, full = np.zeros((3, 4), np.uint8), np.ones((3, 4), np.uint8)
    both = evaluate_case(empty, empty, (2.0, 2.0), ONE, True)["organ"]
    assert (both["dice"], both["hd95"], both["nsd"]) == (1.0, 0.0, 1.0)
    for pair in ((empty, full), (full, empty)):
        one = evaluate_case(*pair, (2.0, 2.0), ONE, True)["organ"]
        assert (one["dice"], one["nsd"]) == (0.0, 0.0)
        assert one["hd95"] == pytest.approx(math.hypot(6, 8))  # the image's diagonal in mm


def test_unknown_spacing_counts_voxels():
    reference, prediction = cube((20, 20), (2, 2), 8).astype(int), cube((20, 20), (4, 2), 8).astype(int)
    found = evaluate_case(prediction, reference, (0.5, 0.5), ONE, spacing_known=False)["organ"]
    assert found["hd95"] == pytest.approx(2.0)
    assert found["nsd"] == pytest.approx(1.0)  # within 2 voxels
    assert found["volume_reference"] == 64
    in_mm = evaluate_case(prediction, reference, (0.5, 0.5), ONE, spacing_known=True)["organ"]
    assert in_mm["hd95"] == pytest.approx(1.0)
    assert in_mm["volume_reference"] == 16


def test_foreground_merges_all_classes():
    reference, prediction = np.array([[0, 1, 1, 2, 2, 0]]), np.array([[0, 2, 2, 1, 1, 0]])
    found = evaluate_case(prediction, reference, (1, 1), TWO, True)
    assert list(found) == ["front", "back", "foreground"]
    assert found["front"]["dice"] == found["back"]["dice"] == 0.0
    assert found["foreground"]["dice"] == 1.0


def test_regions_overlap_and_ignored_voxels_do_not_count():
    regions = Labels(("whole", "core"), ((1, 2), (2,)), (1, 2), ignore=3)
    reference, prediction = np.array([[1, 1, 2, 2, 3, 3]]), np.array([[1, 1, 1, 2, 1, 2]])
    found = evaluate_case(prediction, reference, (1, 1), regions, True)
    assert found["whole"]["dice"] == 1.0  # the two ignored voxels would be false positives
    assert found["core"]["dice"] == pytest.approx(2 / 3)
    assert found["foreground"]["volume_predicted"] == 4


def test_a_class_called_foreground_does_not_hide_the_merged_one():
    labels = Labels(("foreground", "rest"), ((1,), (2,)))
    reference, prediction = np.array([[1, 1, 2, 2]]), np.array([[1, 1, 0, 0]])
    found = evaluate_case(prediction, reference, (1, 1), labels, True)
    assert found["foreground (class)"]["dice"] == 1.0
    assert found["foreground"]["dice"] == pytest.approx(2 / 3)


def test_wrong_shapes_and_values_are_named():
    with pytest.raises(InputError, match=r"\(2, 3\).*\(3, 2\)"):
        evaluate_case(np.zeros((3, 2), int), np.zeros((2, 3), int), (1, 1), ONE, True)
    with pytest.raises(InputError, match="prediction: expected label values.*found \\[7\\]"):
        evaluate_case(np.full((2, 2), 7), np.zeros((2, 2), int), (1, 1), ONE, True)
