"""Metrics of masks whose distances can be counted by hand."""

import math
import warnings

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy import ndimage

from mednca_pipeline.evaluation.metrics import (
    Units,
    dice_by_policy,
    evaluate_case,
    hausdorff,
    mask_metrics,
    policy_counts,
    surface_dice,
    surface_distances,
    with_policy,
)
from mednca_pipeline.results.summary import undefined_as_nan
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
        "diagonal": math.hypot(8, 8),
    }  # fmt: skip


def test_distances_depend_on_the_axis_order_of_the_spacing():
    reference, prediction = np.zeros((9, 9, 9), bool), np.zeros((9, 9, 9), bool)
    reference[1, 4, 4] = prediction[4, 4, 4] = True
    assert mask_metrics(prediction, reference, (5.0, 1.0, 1.0), 1.0)["hd95"] == pytest.approx(15.0)
    assert mask_metrics(prediction, reference, (1.0, 5.0, 1.0), 1.0)["hd95"] == pytest.approx(3.0)


def test_what_is_undefined_is_nan_and_counts_by_the_stated_policy():
    empty, full = np.zeros((3, 4), np.uint8), np.ones((3, 4), np.uint8)
    both = evaluate_case(empty, empty, (2.0, 2.0), ONE, Units())["organ"]
    assert all(math.isnan(both[metric]) for metric in ("dice", "hd95", "nsd"))
    assert both["volume_predicted"] == both["volume_reference"] == 0
    counted = with_policy(both)
    assert (counted["dice"], counted["hd95"], counted["nsd"]) == (1.0, 0.0, 1.0)
    for pair in ((empty, full), (full, empty)):
        one = evaluate_case(*pair, (2.0, 2.0), ONE, Units())["organ"]
        assert (one["dice"], one["nsd"]) == (0.0, 0.0) and math.isnan(one["hd95"])
        counted = with_policy(one)
        assert (counted["dice"], counted["nsd"]) == (0.0, 0.0)
        assert counted["hd95"] == pytest.approx(math.hypot(6, 8))  # the image's diagonal in mm
    found = evaluate_case(full, full, (2.0, 2.0), ONE, Units())["organ"]
    assert with_policy(found) == found
    assert policy_counts([both, one, one, found]) == {"empty_in_both": 1, "empty_in_one": 2}
    assert dice_by_policy(empty != 0, empty != 0) == 1.0 and dice_by_policy(full != 0, empty != 0) == 0.0


def test_undefined_metrics_and_rows_of_earlier_files_are_understood():
    assert with_policy({"dice": math.nan, "hd95": math.nan, "nsd": math.nan})["dice"] == 1.0
    assert with_policy({"dice": 0.0, "hd95": math.nan, "nsd": 0.0, "diagonal": 7.0})["hd95"] == 7.0
    earlier = {"dice": 0.0, "hd95": 55.0, "nsd": 0.0}
    assert with_policy(earlier) == earlier
    assert math.isnan(undefined_as_nan({"organ": {"hd95": None}})["organ"]["hd95"])


def test_percentiles_of_the_same_distances():
    """A line of 10 voxels, and a stray one 6 voxels away: 10 of 11 distances are 0; the 95th percentile is half way."""
    reference = np.zeros((9, 12), bool)
    reference[1, 1:11] = True
    prediction = reference.copy()
    prediction[7, 5] = True
    distances = surface_distances(prediction, reference, (2.0, 1.0))
    assert sorted(distances.to_reference.voxels) == [0.0] * 10 + [12.0]
    assert distances.to_prediction.voxels.tolist() == [0.0] * 10
    assert [hausdorff(distances, percent) for percent in (50, 90, 100)] == [0.0, 0.0, 12.0]
    assert hausdorff(distances, 95) == pytest.approx(6.0)
    assert hausdorff(distances) == 12.0


def test_tolerances_of_the_same_distances():
    """20 x 20 squares, one shifted by 3: 17 of each long side coincide, and all is within 3."""
    reference, prediction = cube((40, 40), (5, 5), 20), cube((40, 40), (8, 5), 20)
    distances = surface_distances(prediction, reference, (1.0, 1.0))
    assert distances.to_reference.areas.sum() == pytest.approx(80, abs=2.5)  # the outline's length, less the corners
    assert surface_dice(distances, 0.0) == pytest.approx(2 * 17 / 80, abs=0.03)
    assert surface_dice(distances, 3.0) == 1.0
    shares = [surface_dice(distances, tolerance) for tolerance in (0.0, 1.0, 2.0, 3.0)]
    assert shares == sorted(shares)


def test_cubes_have_56_boundary_voxels_of_64():
    mask = cube((8, 8, 8), (2, 2, 2), 4)
    distances = surface_distances(mask, mask, (1.0, 1.0, 1.0))
    assert len(distances.to_reference.voxels) == len(distances.to_prediction.voxels) == 64 - 2**3


def test_distances_to_an_empty_mask_are_refused():
    with pytest.raises(ValueError, match="not empty"):
        surface_distances(np.ones((2, 2), bool), np.zeros((2, 2), bool), (1.0, 1.0))


@pytest.mark.parametrize("shape", [(17, 22), (9, 14, 12)])
def test_metrics_are_those_of_monai_and_scipy(shape):
    rng = np.random.default_rng(len(shape))
    spacing = (2.5, 1.0, 0.7)[: len(shape)]
    prediction, reference = (ndimage.gaussian_filter(rng.normal(size=shape), 2) > 0 for _ in range(2))
    masks = [torch.from_numpy(mask)[None, None] for mask in (prediction, reference)]
    found = mask_metrics(prediction, reference, spacing, 1.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        settings = {"include_background": True, "spacing": list(spacing)}
        hd95 = compute_hausdorff_distance(*masks, percentile=95, **settings)
        nsd = compute_surface_dice(*masks, [1.5], use_subvoxels=True, **settings)
    assert (found["hd95"], found["nsd"]) == (float(hd95), float(nsd))
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (prediction, reference)]
    directed = [
        np.percentile(ndimage.distance_transform_edt(~edges[1 - side], spacing)[edges[side]], 95) for side in (0, 1)
    ]
    assert found["hd95"] == pytest.approx(max(directed), rel=1e-5)


def test_unknown_spacing_counts_voxels():
    reference, prediction = cube((20, 20), (2, 2), 8).astype(int), cube((20, 20), (4, 2), 8).astype(int)
    found = evaluate_case(prediction, reference, (0.5, 0.5), ONE, Units(False))["organ"]
    assert found["hd95"] == pytest.approx(2.0)
    assert found["nsd"] == pytest.approx(1.0)  # within 2 voxels
    assert found["volume_reference"] == 64
    in_mm = evaluate_case(prediction, reference, (0.5, 0.5), ONE, Units())["organ"]
    assert in_mm["hd95"] == pytest.approx(1.0)
    assert in_mm["volume_reference"] == 16


def test_foreground_merges_all_classes():
    reference, prediction = np.array([[0, 1, 1, 2, 2, 0]]), np.array([[0, 2, 2, 1, 1, 0]])
    found = evaluate_case(prediction, reference, (1, 1), TWO, Units())
    assert list(found) == ["front", "back", "foreground"]
    assert found["front"]["dice"] == found["back"]["dice"] == 0.0
    assert found["foreground"]["dice"] == 1.0


def test_regions_overlap_and_ignored_voxels_do_not_count():
    regions = Labels(("whole", "core"), ((1, 2), (2,)), (1, 2), ignore=3)
    reference, prediction = np.array([[1, 1, 2, 2, 3, 3]]), np.array([[1, 1, 1, 2, 1, 2]])
    found = evaluate_case(prediction, reference, (1, 1), regions, Units())
    assert found["whole"]["dice"] == 1.0  # the two ignored voxels would be false positives
    assert found["core"]["dice"] == pytest.approx(2 / 3)
    assert found["foreground"]["volume_predicted"] == 4


def test_a_class_called_foreground_does_not_hide_the_merged_one():
    labels = Labels(("foreground", "rest"), ((1,), (2,)))
    reference, prediction = np.array([[1, 1, 2, 2]]), np.array([[1, 1, 0, 0]])
    found = evaluate_case(prediction, reference, (1, 1), labels, Units())
    assert found["foreground (class)"]["dice"] == 1.0
    assert found["foreground"]["dice"] == pytest.approx(2 / 3)


def test_wrong_shapes_and_values_are_named():
    with pytest.raises(InputError, match=r"\(2, 3\).*\(3, 2\)"):
        evaluate_case(np.zeros((3, 2), int), np.zeros((2, 3), int), (1, 1), ONE, Units())
    with pytest.raises(InputError, match="prediction: expected label values.*found 7"):
        evaluate_case(np.full((2, 2), 7), np.zeros((2, 2), int), (1, 1), ONE, Units())
