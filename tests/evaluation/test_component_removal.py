"""Largest components: what is removed."""

import numpy as np
import pytest

from mednca_pipeline.evaluation.component_removal import Removed, apply_postprocessing, postprocessed_metrics
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.labels import Labels

from .predicted import write_rows

TWO = Labels(("one", "two"), ((1,), (2,)))
NESTED = Labels(("whole", "core", "enhancing"), ((1, 2, 3), (2, 3), (3,)), (1, 2, 3))


def kept(labels, components, labels_def=TWO):
    return apply_postprocessing(np.array(labels), components, labels_def)[0].tolist()


def test_only_the_named_class_loses_its_stray_voxels():
    labels = [[1, 1, 0, 1, 0, 2, 2, 0, 2]]
    assert kept(labels, {"one": 1}) == [[1, 1, 0, 0, 0, 2, 2, 0, 2]]
    assert kept(labels, {"one": 1, "two": 1}) == [[1, 1, 0, 0, 0, 2, 2, 0, 0]]
    assert kept(labels, {}) == labels


def test_the_n_largest_components_stay_whatever_their_order():
    labels = [[1, 0, 1, 1, 0, 1, 1, 1, 0, 1]]
    assert kept(labels, {"one": 1}) == [[0, 0, 0, 0, 0, 1, 1, 1, 0, 0]]
    assert kept(labels, {"one": 2}) == [[0, 0, 1, 1, 0, 1, 1, 1, 0, 0]]
    assert kept(labels, {"one": 4}) == kept(labels, {"one": 9}) == labels


def test_of_equally_large_components_the_first_in_memory_order_stay():
    labels = np.zeros((2, 2, 9), int)
    labels[0, 0, [0, 2, 4]] = labels[1, 1, [6, 7]] = 1  # three single voxels, and a pair behind them
    result, _ = apply_postprocessing(labels, {"one": 2}, TWO)
    assert np.argwhere(result).tolist() == [[0, 0, 0], [1, 1, 6], [1, 1, 7]]
    result, _ = apply_postprocessing(labels[:1], {"one": 1}, TWO)
    assert np.argwhere(result).tolist() == [[0, 0, 0]]
    columns = np.array([[0, 0, 1], [1, 0, 0]])  # the first row's comes first, although its column is the last
    assert kept(columns, {"one": 1}) == [[0, 0, 1], [0, 0, 0]]
    assert kept(np.asfortranarray(columns), {"one": 1}) == [[0, 0, 1], [0, 0, 0]]


def test_diagonal_neighbours_are_connected_in_2d_and_3d():
    assert np.sum(kept(np.eye(3, dtype=int), {"one": 1})) == 3
    corner = np.zeros((3, 3, 3), int)
    corner[0, 0, 0] = corner[1, 1, 1] = 1
    assert np.sum(kept(corner, {"one": 1})) == 2


def test_what_is_removed_is_counted():
    labels = np.array([[1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 2]])
    _, removed = apply_postprocessing(labels, {"one": 1, "two": 1}, TWO)
    assert removed == (Removed("one", 2, 0.25),)
    assert str(removed[0]) == "2 islands of one removed, 25.0 % of its volume: a large part, look at the case"
    assert str(Removed("one", 1, 0.008)) == "1 island of one removed, 0.8 % of its volume"
    assert str(Removed("one", 1, 0.0004)) == "1 island of one removed, less than 0.1 % of its volume"
    assert labels.sum() == 10  # the given labels stay as they are


def test_a_branched_component_is_one_component():
    fork = [[1, 0, 1, 0, 1], [0, 1, 0, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 0, 0, 0]]
    assert kept(fork, {"one": 1}) == [*fork[:4], [0] * 5]


@pytest.mark.parametrize("axis", range(3))
def test_a_single_line_of_voxels_loses_its_islands(axis):
    line = np.moveaxis(np.array([[[1, 1, 0, 1, 0, 1]]]), 2, axis)
    result, removed = apply_postprocessing(line, {"one": 1}, TWO)
    assert result.reshape(-1).tolist() == [1, 1, 0, 0, 0, 0]
    assert removed == (Removed("one", 2, 0.5),)


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5)])
def test_background_and_single_components_lose_nothing(shape):
    empty = np.zeros(shape, np.uint8)
    result, removed = apply_postprocessing(empty, {"one": 1, "two": 2}, TWO)
    assert not result.any() and removed == ()
    whole = np.ones(shape, np.uint8)
    result, removed = apply_postprocessing(whole, {"one": 1, "two": 2}, TWO)
    assert result.all() and result.dtype == np.uint8 and removed == ()


def test_stray_core_becomes_the_region_around_it_and_takes_inner_regions_along():
    labels = [[1, 2, 2, 1, 3, 1, 0, 0]]
    assert kept(labels, {"core": 1}, NESTED) == [[1, 2, 2, 1, 1, 1, 0, 0]]
    assert kept(labels, {"core": 2}, NESTED) == labels


def test_stray_part_of_the_outermost_region_becomes_background():
    labels = [[1, 2, 3, 1, 0, 2, 3, 0]]
    assert kept(labels, {"whole": 1}, NESTED) == [[1, 2, 3, 1, 0, 0, 0, 0]]
    _, removed = apply_postprocessing(np.array(labels), {"whole": 1, "core": 1}, NESTED)
    assert removed == (Removed("whole", 1, 2 / 6),)  # the core within it went along


def test_unknown_class_or_number_is_an_error():
    with pytest.raises(InputError, match="three"):
        apply_postprocessing(np.zeros((2, 2), int), {"three": 1}, TWO)
    with pytest.raises(InputError, match="at least 1 component of one, found 0"):
        apply_postprocessing(np.zeros((2, 2), int), {"one": 0}, TWO)


def test_metrics_with_components_are_measured_only_where_these_change_the_labels(tmp_path):
    reference = write_rows(tmp_path / "r", a=[1, 1, 0, 0, 2, 2])["a"]
    prediction = write_rows(tmp_path / "p", a=[1, 1, 0, 1, 2, 2])["a"]
    raw = {"one": {"dice": 4 / 5}}
    measured = postprocessed_metrics(prediction, reference, raw, {"one": 1}, TWO, False)
    assert measured["one"]["dice"] == 1.0 and measured["foreground"]["dice"] == 1.0
    assert postprocessed_metrics(prediction, reference, raw, {"two": 1}, TWO, False) is raw
