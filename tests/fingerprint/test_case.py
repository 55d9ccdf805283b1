import numpy as np
import pytest

from mednca_pipeline.fingerprint.case import CaseArrays, case_fingerprint, class_statistics, sampled_foreground
from mednca_pipeline.runtime.labels import Labels

LABELS = Labels(("a", "b"), ((1,), (2,)))
REGIONS = Labels(("whole", "core"), ((1, 2), (2,)), region_order=(1, 2), ignore=3)


def labelled():
    labels = np.zeros((6, 8, 10), np.uint8)
    labels[1:3, 2:6, 3:9] = 1  # 2x4x6
    labels[5, 0, 0] = 1  # a component of its own
    labels[3, 2:4, 3:4] = 2
    return labels


def whole(shape):
    return tuple((0, side) for side in shape)


def test_extent_is_that_of_the_largest_component():
    found = class_statistics(labelled() == 1, whole((6, 8, 10)))
    assert (found.voxels, found.extent, found.components) == (49, (2, 4, 6), 2)


def test_touching_corners_are_one_component():
    mask = np.eye(4, dtype=bool)
    assert class_statistics(mask, whole((4, 4))).components == 1
    assert class_statistics(mask, whole((4, 4))).extent == (4, 4)


def test_absent_class_has_no_extent():
    found = class_statistics(np.zeros((3, 3), bool), whole((3, 3)))
    assert (found.voxels, found.extent, found.components, found.centre) == (0, (), 0, ())


def test_centre_is_the_mean_place_of_all_voxels_in_the_cropped_image():
    mask = np.zeros((4, 10), bool)
    mask[1:3, 4:8] = True
    assert class_statistics(mask, whole((4, 10))).centre == pytest.approx((0, 0.2))
    assert class_statistics(mask, ((0, 4), (2, 10))).centre == pytest.approx((0, 0))  # the middle of 2 to 10
    mask[0, 0] = True  # far away, one voxel of nine
    assert class_statistics(mask, whole((4, 10))).centre == pytest.approx((-1 / 12, 7 / 90))


def test_regions_count_all_their_values():
    image, labels = np.ones((1, 6, 8, 10), np.float32), labelled()
    found = case_fingerprint("c", CaseArrays(image, labels, (1.0, 1.0, 1.0)), REGIONS, image[:, 0, :0, 0], "hash")
    assert found.classes["whole"].extent == (3, 4, 6)
    assert found.classes["core"].voxels == 2


def test_shapes_before_and_after_cropping_to_nonzero():
    image = np.zeros((2, 6, 8, 10), np.float32)
    image[0, 1:5, 0:8, 2:9] = 7
    image[1, 0, 4, 4] = 1
    case = CaseArrays(image, labelled(), (2.0, 1.0, 0.1 + 0.2))
    found = case_fingerprint("c", case, LABELS, sampled_foreground(case, LABELS, "c"), "hash")
    assert found.shape == (6, 8, 10)
    assert found.cropped_shape == (5, 8, 7)
    assert found.spacing_mm == (2.0, 1.0, 0.3)
    assert found.image[0].mean == pytest.approx(7 * 4 * 8 * 7 / (5 * 8 * 7))
    assert len(found.foreground) == 2


def test_foreground_is_every_labelled_voxel_but_ignored_ones():
    image = np.arange(480, dtype=np.float32).reshape(1, 6, 8, 10)
    labels = labelled()
    labels[0, 0, :5] = 3
    voxels = sampled_foreground(CaseArrays(image, labels, (1.0, 1.0)), REGIONS, "c")
    assert voxels.shape == (1, 51)
    assert sorted(voxels[0]) == sorted(image[0][(labels == 1) | (labels == 2)])


def test_sampling_depends_on_the_name_alone():
    image = np.arange(40_000, dtype=np.float32).reshape(1, 200, 200)
    labels = np.ones((200, 200), np.uint8)
    case = CaseArrays(image, labels, (1.0, 1.0))
    first = sampled_foreground(case, LABELS, "case_1")
    assert first.shape == (1, 10_000)
    np.testing.assert_array_equal(first, sampled_foreground(case, LABELS, "case_1"))
    assert (first != sampled_foreground(case, LABELS, "case_2")).any()
