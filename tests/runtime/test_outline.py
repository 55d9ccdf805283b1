"""Which cells are computed: hand-made logits, neighbours, halos, and what the torch form says of the same."""

import numpy as np
import pytest
import torch

from mednca_pipeline.models.near_outline import near_open as near_open_in_torch
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.outline import Outline, grown, near_open, refined, sure_and_class


def test_a_cell_is_sure_if_its_largest_probability_is_at_least_1_minus_eps():
    probabilities = np.array([[0.96, 0.03, 0.01], [0.94, 0.05, 0.01], [0.0, 0.02, 0.98]])
    sure, classes = sure_and_class(np.log(probabilities + 1e-12).T, sigmoid=False, eps=0.05)
    assert sure.tolist() == [True, False, True] and classes.tolist() == [0, 0, 2]


def test_with_regions_each_must_be_sure_and_the_class_is_the_set_of_regions():
    probabilities = np.array([[0.97, 0.02], [0.97, 0.2], [0.99, 0.99], [0.01, 0.01]])
    sure, classes = sure_and_class(np.log(probabilities / (1 - probabilities)).T, sigmoid=True, eps=0.05)
    assert sure.tolist() == [True, False, True, True] and classes.tolist() == [1, 1, 3, 0]


def test_neighbours_of_another_class_are_open_and_the_halo_goes_around_them():
    classes = np.zeros((1, 1, 9), int)
    classes[..., 5:] = 1
    sure = np.ones((1, 1, 9), bool)
    assert np.flatnonzero(near_open(sure, classes, 2, halo=0)).tolist() == [4, 5]
    assert np.flatnonzero(near_open(sure, classes, 2, halo=2)).tolist() == [2, 3, 4, 5, 6, 7]


def test_slices_are_not_neighbours_in_2d():
    classes = np.array([[[0, 0]], [[1, 1]]])
    assert not near_open(np.ones((2, 1, 2), bool), classes, 2, halo=1).any()
    assert near_open(np.ones((1, 2, 1, 2), bool), classes[None], 3, halo=0).all()


def test_a_mask_grows_as_a_box_and_stops_at_the_border():
    mask = np.zeros((1, 5, 6), bool)
    mask[0, 0, 2] = True
    assert grown(mask, 2, 1)[0].astype(int).tolist() == [[0, 1, 1, 1, 0, 0]] * 2 + [[0] * 6] * 3
    assert grown(mask, 2, 9).all()


def test_refined_repeats_each_cell():
    fine = refined(np.array([[[1, 2], [3, 4]]]), (1, 3))
    assert fine[0].tolist() == [[1, 1, 1, 2, 2, 2], [3, 3, 3, 4, 4, 4]]


@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("size", [(13, 9), (5, 8, 7)])
@pytest.mark.parametrize("halo", [0, 1, 2])
def test_torch_finds_the_same_cells(size, sigmoid, halo):
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 1, (2, 3, *size)).astype(np.float32)
    logits[:, 0] += 9 * np.sign(np.arange(size[-1]) - 3.5)  # sure on either side of a border, but for some noise
    rows = np.moveaxis(logits, 1, 0).reshape(3, -1)
    sure, classes = (found.reshape(2, *size) for found in sure_and_class(rows, sigmoid, 0.05))
    expected = near_open_in_torch(torch.from_numpy(logits), sigmoid, Outline(0.05, halo))[:, 0].numpy()
    found = near_open(sure, classes, len(size), halo)
    np.testing.assert_array_equal(found, expected)
    if not sigmoid and halo < 2:
        assert 0 < found.mean() < 1


@pytest.mark.parametrize(("eps", "halo"), [(0.0, 1), (1.0, 1), (1.5, 1), (0.02, -1)])
def test_constants_that_mean_nothing_are_refused(eps, halo):
    with pytest.raises(InputError, match="eps between 0 and 1 and halo from 0"):
        Outline(eps, halo)
