"""Crop, normalise, resample, and the way back to the original shape."""

import time
import tracemalloc
from dataclasses import asdict

import numpy as np
import pytest

from mednca_pipeline.runtime.cropping import Crop, inside, nonzero_box
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.normalisation import Normalise, normalise, percentiles
from mednca_pipeline.runtime.permuting import Permute
from mednca_pipeline.runtime.preprocessing import (
    PreprocessingPlan,
    frame_of,
    preprocess_image,
    preprocess_labels,
)
from mednca_pipeline.runtime.preprocessing_steps import Frame
from mednca_pipeline.runtime.records import from_dict
from mednca_pipeline.runtime.resampling import CUBIC, LINEAR, Resample

LABELS = Labels(("left", "right"), ((1,), (2,)))
PLAN_3D = PreprocessingPlan((0, 1, 2), (1.0, 1.0, 1.0), ("zscore",))
PLAN_2D_OF_3D = PreprocessingPlan((2, 0, 1), (None, 1.0, 1.0), ("none",))
PLAN_2D = PreprocessingPlan((), (None, 1.0, 1.0), ("none",))


def blobs(shape=(12, 20, 16)) -> tuple[np.ndarray, np.ndarray]:
    """An image (1, z, y, x) inside a border of zeros and its labels (z, y, x) with two boxes."""
    labels = np.zeros(shape, np.uint8)
    labels[3:8, 4:11, 3:9] = 1
    labels[3:8, 11:16, 3:9] = 2
    image = np.zeros((1, *shape), np.float32)
    image[0, 1:11, 2:18, 1:13] = np.random.default_rng(0).uniform(1, 2, (10, 16, 12))
    return image, labels


def test_crop_to_nonzero_of_any_channel():
    array = np.zeros((2, 5, 6))
    array[0, 1, 4] = array[1, 3, 2] = -1
    assert nonzero_box(array) == ((1, 4), (2, 5))
    assert array[inside(nonzero_box(array))].shape == (2, 3, 3)
    assert nonzero_box(np.zeros((1, 5, 6))) == ((0, 5), (0, 6))


def test_what_was_cropped_is_put_back():
    whole = Crop(((1, 2), (0, 2)), (3, 3)).inverse(np.ones((1, 2)), outside=7)
    assert whole.tolist() == [[7, 7, 7], [1, 1, 7], [7, 7, 7]]


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


def test_3d_shape_frame_and_values():
    image, _ = blobs()
    preprocessed, frame = preprocess_image(image, (2.0, 1.0, 0.5), PLAN_3D)
    assert frame == Frame(
        Crop(((1, 11), (2, 18), (1, 13)), (12, 20, 16)),
        Permute((0, 1, 2)),
        Normalise(("zscore",), (), True),
        Resample((10, 16, 12), (20, 16, 6), (CUBIC,) * 3, (LINEAR,) * 3),
    )
    assert preprocessed.shape == (1, 20, 16, 6)
    assert preprocessed.dtype == np.float32
    assert abs(preprocessed.mean()) < 0.1
    assert from_dict(Frame, asdict(frame)) == frame


def test_2d_configuration_slices_along_the_planned_axis_and_keeps_it():
    array = np.arange(1.0, 25.0).reshape(1, 2, 3, 4)
    preprocessed, frame = preprocess_image(array, (1.0, 1.0, 5.0), PLAN_2D_OF_3D)
    assert preprocessed.shape == (1, 4, 2, 3)
    assert np.array_equal(preprocessed[0], array[0].transpose(2, 0, 1))
    assert np.array_equal(frame.restore(preprocessed[0]), array[0])


def test_2d_images_have_one_slice():
    array = np.ones((3, 10, 20), np.float32)
    plan = PreprocessingPlan((), (None, 1.0, 2.0), ("none",) * 3)
    preprocessed, frame = preprocess_image(array, (0.5, 1.0), plan)
    assert preprocessed.shape == (3, 1, 5, 10)
    assert preprocessed == pytest.approx(1, abs=1e-5)
    assert frame.restore(preprocessed[0]).shape == (10, 20)


@pytest.mark.parametrize("plan", [PLAN_3D, PLAN_2D_OF_3D])
def test_labels_round_trip_exactly_without_resampling(plan):
    image, labels = blobs()
    _, frame = preprocess_image(image, (1.0, 1.0, 1.0), plan)
    preprocessed = preprocess_labels(labels, frame, LABELS)
    assert preprocessed.dtype == np.uint8
    assert preprocessed.shape == frame.resample.resampled_shape
    assert np.array_equal(frame.restore_labels(LABELS.encode(preprocessed), LABELS), labels)


@pytest.mark.parametrize("spacing", [(2.0, 1.5, 0.7), (0.9, 1.2, 1.1), (5.0, 1.0, 1.0)])
def test_labels_round_trip_closely_with_resampling(spacing):
    image, labels = blobs()
    _, frame = preprocess_image(image, spacing, PLAN_3D)
    preprocessed = preprocess_labels(labels, frame, LABELS)
    restored = frame.restore_labels(iter(LABELS.encode(preprocessed)), LABELS)
    assert restored.shape == labels.shape
    for value in (1, 2):
        both = ((restored == value) & (labels == value)).sum()
        assert 2 * both / ((restored == value).sum() + (labels == value).sum()) > 0.9


def test_regions_and_ignore_pass_through():
    regions = Labels(("whole", "core"), ((1, 2), (2,)), (1, 2), ignore=3)
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2:6, 2:6, 2:6], labels[3:5, 3:5, 3:5], labels[7] = 1, 2, 3
    plan = PreprocessingPlan((0, 1, 2), (0.5, 0.5, 0.5), ("none",))
    _, frame = preprocess_image(np.ones((1, 8, 8, 8)), (1.0, 1.0, 1.0), plan)
    preprocessed = preprocess_labels(labels, frame, regions)
    assert preprocessed[15, 8, 8] == 3
    assert preprocessed[7, 7, 7] == 2
    restored = frame.restore_labels(regions.encode(preprocessed), regions)
    assert np.array_equal(restored, np.where(labels == 3, 0, labels))


def test_what_was_cropped_away_is_background():
    image, _ = blobs()
    _, frame = preprocess_image(image, (1.0, 1.0, 1.0), PLAN_3D)
    everywhere = np.stack([np.full(frame.resample.resampled_shape, p, np.float32) for p in (0.1, 0.8, 0.1)])
    restored = frame.restore_labels(everywhere, LABELS)
    assert np.array_equal(restored == 1, image[0] != 0)
    assert frame.restore(everywhere[0], outside=1.0)[0, 0, 0] == 1
    assert frame.restore(everywhere[0])[0, 0, 0] == 0


def test_permuted_and_flipped_images_give_permuted_and_flipped_results():
    image, labels = blobs()
    spacing, target = (1.7, 1.1, 0.8), (1.3, 0.9, 1.0)
    plan = PreprocessingPlan((0, 1, 2), target, ("zscore",))
    turned = (2, 0, 1)
    turned_plan = PreprocessingPlan((0, 1, 2), tuple(target[axis] for axis in turned), ("zscore",))

    def turn(array: np.ndarray) -> np.ndarray:
        return array.transpose(*range(array.ndim - 3), *(axis + array.ndim - 3 for axis in turned))[..., ::-1, :, ::-1]

    expected, frame = preprocess_image(image, spacing, plan)
    expected_labels = preprocess_labels(labels, frame, LABELS)
    found, turned_frame = preprocess_image(turn(image), tuple(spacing[axis] for axis in turned), turned_plan)
    assert found == pytest.approx(turn(expected), abs=1e-4)
    found_labels = preprocess_labels(turn(labels), turned_frame, LABELS)
    assert np.array_equal(found_labels, turn(expected_labels))
    restored = turned_frame.restore_labels(LABELS.encode(found_labels), LABELS)
    assert np.array_equal(restored, turn(frame.restore_labels(LABELS.encode(expected_labels), LABELS)))


def test_an_axis_order_is_the_same_as_turning_the_array():
    image, _ = blobs()
    ordered, _ = preprocess_image(image, (1.5, 1.0, 0.6), PreprocessingPlan((1, 2, 0), (1.0, 1.0, 1.0), ("zscore",)))
    turned, _ = preprocess_image(image.transpose(0, 2, 3, 1), (1.0, 0.6, 1.5), PLAN_3D)
    assert ordered == pytest.approx(turned, abs=1e-5)


def test_many_classes_are_restored_two_maps_at_a_time():
    classes = Labels(tuple(f"class{value}" for value in range(1, 24)), tuple((value,) for value in range(1, 24)))
    plan = PreprocessingPlan((0, 1, 2), (8.0, 8.0, 8.0), ("none",))
    shape = (64, 64, 64)
    frame = frame_of(np.ones((1, *shape), bool), (1.0, 1.0, 1.0), plan)
    probabilities = np.random.default_rng(0).random((24, 8, 8, 8)).astype(np.float32)
    one_map = 4 * 64**3
    tracemalloc.start()
    restored = frame.restore_labels(probabilities, classes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert restored.max() > 10
    assert peak < 4 * one_map  # two maps, the labels, a mask; all classes would be 24


def test_a_hippocampus_is_preprocessed_in_milliseconds():
    image = np.random.default_rng(0).random((1, 36, 50, 35)).astype(np.float32)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        preprocess_image(image, (1.0, 1.1, 0.9), PLAN_3D)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.02  # 1.5 ms on one quiet core
