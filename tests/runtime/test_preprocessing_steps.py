"""Every step and its inverse, and their composition: results come back to where the image lay."""

from dataclasses import asdict
from itertools import permutations

import numpy as np
import pytest

from mednca_pipeline.runtime.cropping import Crop
from mednca_pipeline.runtime.normalisation import Normalise
from mednca_pipeline.runtime.padding import Pad
from mednca_pipeline.runtime.permuting import Permute
from mednca_pipeline.runtime.preprocessing import (
    PreprocessingPlan,
    frame_of,
    preprocess_image,
    preprocess_labels,
)
from mednca_pipeline.runtime.preprocessing_steps import Frame
from mednca_pipeline.runtime.records import from_dict
from mednca_pipeline.runtime.resampling import LINEAR, NEAREST, Resample

from .boxes import LABELS, image_and_labels

ORDERS = tuple(permutations(range(3)))

EXACT_STEPS = [
    (Crop(((1, 4), (2, 3)), (6, 3)), (6, 3), (3, 1)),
    (Crop(((0, 5), (2, 7), (1, 2)), (5, 9, 3)), (5, 9, 3), (5, 5, 1)),
    (Crop(((0, 4), (0, 3)), (4, 3)), (4, 3), (4, 3)),
    (Permute(()), (5, 7), (1, 5, 7)),
    *((Permute(order), (5, 6, 7), tuple((5, 6, 7)[axis] for axis in order)) for order in ORDERS),
    (Pad((3, 5), (8, 6)), (3, 5), (8, 6)),
    (Pad((1, 5, 4), (3, 5, 8)), (1, 5, 4), (3, 5, 8)),
    (Pad((2, 2), (2, 2)), (2, 2), (2, 2)),
    (Resample((4, 1, 5), (4, 1, 5), (LINEAR,) * 3, (NEAREST,) * 3), (4, 1, 5), (4, 1, 5)),
]


@pytest.mark.parametrize(("step", "shape", "after"), EXACT_STEPS)
def test_a_step_that_moves_voxels_is_undone_exactly(step, shape, after):
    """The array is zero where `Crop` cuts, so that all of it comes back."""
    array = np.random.default_rng(0).integers(1, 200, (2, *shape)).astype(np.float32)
    if isinstance(step, Crop):
        array = array * (step.inverse(np.ones(after)) == 1)
    assert step.forward(array).shape == (2, *after)
    assert np.array_equal(step.inverse(step.forward(array)), array)
    labels = array[0].astype(np.uint8)
    moved = step.forward_labels(labels)
    assert moved.shape == after and moved.dtype == np.uint8
    assert np.array_equal(step.inverse(moved), labels)


@pytest.mark.parametrize(
    ("shape", "after"),
    [((9, 7, 11), (18, 7, 11)), ((12, 9, 8), (6, 9, 17)), ((1, 15, 20), (1, 5, 41)), ((5, 5, 5), (1, 1, 1))],
)
def test_resampled_probabilities_come_back_to_their_place(shape, after):
    step = Resample(shape, after, (LINEAR,) * 3, (LINEAR,) * 3)
    assert step.inverse(step.forward(np.full((2, *shape), 0.25))) == pytest.approx(0.25, abs=1e-6)
    for axis in range(3):  # a ramp is reproduced up to the half cell at the ends, where edges are replicated
        ramp = np.broadcast_to(np.arange(shape[axis]).reshape([-1 if axis == each else 1 for each in range(3)]), shape)
        found = step.inverse(step.forward(ramp))
        assert found.shape == shape
        assert found == pytest.approx(ramp, abs=max(0.01, shape[axis] / after[axis] / 2))


def test_normalising_leaves_labels_and_probabilities_alone():
    step = Normalise(("rgb",), (), True)
    assert step.forward(np.full((1, 2, 2), 255.0)).tolist() == [[[1, 1], [1, 1]]]
    labels = np.ones((2, 2), np.uint8)
    assert step.forward_labels(labels) is labels
    assert step.inverse(labels) is labels


WAYS = [  # shape of the image, its spacing, axis order, target spacing
    ((21, 30), (1.0, 1.0), (), (None, None, None)),
    ((21, 30), (0.7, 1.3), (), (None, 1.0, 1.0)),
    *(((17, 24, 21), (1.0, 2.0, 1.5), order, (None, None, None)) for order in ORDERS),
    *(((17, 24, 21), (1.3, 0.8, 1.1), order, (1.0, 1.0, 1.0)) for order in ORDERS),
    ((17, 24, 21), (5.0, 1.0, 1.0), (0, 1, 2), (4.0, 1.2, 1.2)),  # anisotropic: nearest along the first axis
    ((48, 17, 43), (0.5, 3.0, 0.6), (1, 0, 2), (None, 0.7, 0.7)),
]


@pytest.mark.parametrize(("shape", "spacing_mm", "order", "target_mm"), WAYS)
def test_labels_and_probabilities_go_to_the_grid_and_back(shape, spacing_mm, order, target_mm):
    plan = PreprocessingPlan(order, target_mm, ("none",))
    image, labels = image_and_labels(shape)
    data, frame = preprocess_image(image, spacing_mm, plan)
    taught = preprocess_labels(labels, frame, LABELS)
    assert data.shape[1:] == taught.shape == frame.resample.resampled_shape
    restored = frame.restore_labels(iter(LABELS.encode(taught)), LABELS)
    assert restored.shape == shape and restored.dtype == np.uint8
    volume = frame.restore(data[0])
    if set(target_mm) == {None}:
        assert np.array_equal(restored, labels)
        assert np.array_equal(volume, image[0])
    for value in (1, 2):
        both = np.count_nonzero((restored == value) & (labels == value))
        assert 2 * both / (np.count_nonzero(restored == value) + np.count_nonzero(labels == value)) > 0.9
    everywhere = frame.restore(np.ones(taught.shape, np.float32), outside=-1.0)
    assert np.array_equal(everywhere > 0, image[0] != 0)


@pytest.mark.parametrize(("shape", "order"), [((6, 9), ()), ((4, 5, 7), (2, 0, 1)), ((1, 1, 1), (0, 1, 2))])
def test_an_image_of_zeros_keeps_its_extent(shape, order):
    frame = frame_of(np.zeros((1, *shape)), (2.0,) * len(shape), PreprocessingPlan(order, (None, 1.0, 1.0), ("none",)))
    assert frame.crop.box == tuple((0, size) for size in shape)
    background = np.zeros((3, *frame.resample.resampled_shape), np.float32)
    background[0] = 1
    assert np.array_equal(frame.restore_labels(background, LABELS), np.zeros(shape))


def test_of_equally_probable_classes_the_first_is_restored():
    frame = frame_of(np.ones((1, 4, 6)), (1.0, 1.0), PreprocessingPlan((), (None, 2.0, 2.0), ("none",)))
    even = np.full((3, *frame.resample.resampled_shape), 1 / 3, np.float32)
    assert not frame.restore_labels(even, LABELS).any()
    even[0] = 0
    assert (frame.restore_labels(even, LABELS) == 1).all()


def test_a_frame_survives_json():
    plan = PreprocessingPlan((2, 0, 1), (None, 1.0, 2.0), ("ct",), ((50.0, 25.0, -100.0, 300.0),))
    frame = frame_of(image_and_labels((9, 8, 7))[0], (1.0, 1.5, 5.0), plan)
    assert from_dict(Frame, asdict(frame)) == frame
