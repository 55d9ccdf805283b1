"""The way of an image to the grid of a plan, and of its segmentation back to the original shape."""

import time
import tracemalloc

import numpy as np
import pytest

from mednca_pipeline.runtime.cropping import Crop
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.normalisation import Normalise
from mednca_pipeline.runtime.permuting import Permute
from mednca_pipeline.runtime.preprocessing import (
    PreprocessingPlan,
    frame_of,
    preprocess_image,
    preprocess_labels,
)
from mednca_pipeline.runtime.preprocessing_steps import Frame
from mednca_pipeline.runtime.resampling import CUBIC, LINEAR, Resample

from .boxes import LABELS, image_and_labels

SHAPE = (12, 20, 16)
PLAN_3D = PreprocessingPlan((0, 1, 2), (1.0, 1.0, 1.0), ("zscore",))
PLAN_2D_OF_3D = PreprocessingPlan((2, 0, 1), (None, 1.0, 1.0), ("none",))


def test_3d_shape_frame_and_values():
    image, _ = image_and_labels(SHAPE)
    preprocessed, frame = preprocess_image(image, (2.0, 1.0, 0.5), PLAN_3D)
    assert frame == Frame(
        Crop(((1, 11), (1, 19), (1, 15)), SHAPE),
        Permute((0, 1, 2)),
        Normalise(("zscore",), (), True),
        Resample((10, 18, 14), (20, 18, 7), (CUBIC,) * 3, (LINEAR,) * 3),
    )
    assert preprocessed.shape == (1, 20, 18, 7)
    assert preprocessed.dtype == np.float32
    assert abs(preprocessed.mean()) < 0.1


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
    image, _ = image_and_labels(SHAPE)
    _, frame = preprocess_image(image, (1.0, 1.0, 1.0), PLAN_3D)
    everywhere = np.stack([np.full(frame.resample.resampled_shape, p, np.float32) for p in (0.1, 0.8, 0.1)])
    restored = frame.restore_labels(everywhere, LABELS)
    assert np.array_equal(restored == 1, image[0] != 0)
    assert frame.restore(everywhere[0], outside=1.0)[0, 0, 0] == 1
    assert frame.restore(everywhere[0])[0, 0, 0] == 0


def test_permuted_and_flipped_images_give_permuted_and_flipped_results():
    image, labels = image_and_labels(SHAPE)
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
    image, _ = image_and_labels(SHAPE)
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
        start = time.thread_time()
        preprocess_image(image, (1.0, 1.1, 0.9), PLAN_3D)
        seconds.append(time.thread_time() - start)
    assert min(seconds) < 0.02  # 1.5 ms
