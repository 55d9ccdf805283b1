"""Largest components: what is removed, and when it is chosen."""

import numpy as np
import pytest
from PIL import Image

from mednca_pipeline.evaluation.postprocessing import apply_postprocessing, choose_postprocessing
from mednca_runtime.errors import InputError
from mednca_runtime.labels import Labels

TWO = Labels(("one", "two"), ((1,), (2,)))
NESTED = Labels(("whole", "core", "enhancing"), ((1, 2, 3), (2, 3), (3,)), (1, 2, 3))


def test_only_the_named_class_loses_its_stray_voxels():
    labels = np.array([[1, 1, 0, 1, 0, 2, 2, 0, 2]])
    assert apply_postprocessing(labels, ["one"], TWO).tolist() == [[1, 1, 0, 0, 0, 2, 2, 0, 2]]
    assert apply_postprocessing(labels, ["one", "two"], TWO).tolist() == [[1, 1, 0, 0, 0, 2, 2, 0, 0]]
    assert apply_postprocessing(labels, [], TWO).tolist() == labels.tolist()


def test_diagonal_neighbours_are_connected_in_2d_and_3d():
    assert apply_postprocessing(np.eye(3, dtype=int), ["one"], TWO).sum() == 3
    corner = np.zeros((3, 3, 3), int)
    corner[0, 0, 0] = corner[1, 1, 1] = 1
    assert apply_postprocessing(corner, ["one"], TWO).sum() == 2


def test_stray_core_becomes_the_region_around_it_and_takes_inner_regions_along():
    labels = np.array([[1, 2, 2, 1, 3, 1, 0, 0]])
    assert apply_postprocessing(labels, ["core"], NESTED).tolist() == [[1, 2, 2, 1, 1, 1, 0, 0]]


def test_stray_part_of_the_outermost_region_becomes_background():
    labels = np.array([[1, 2, 3, 1, 0, 2, 3, 0]])
    assert apply_postprocessing(labels, ["whole"], NESTED).tolist() == [[1, 2, 3, 1, 0, 0, 0, 0]]


def test_unknown_class_is_an_error():
    with pytest.raises(InputError, match="three"):
        apply_postprocessing(np.zeros((2, 2), int), ["three"], TWO)


def write(folder, **cases):
    folder.mkdir()
    for case, labels in cases.items():
        Image.fromarray(np.array([labels], np.uint8)).save(folder / f"{case}.png")
    return {case: folder / f"{case}.png" for case in cases}


def test_chosen_where_it_helps_and_only_there(tmp_path):
    references = write(tmp_path / "r", a=[1, 1, 0, 0, 2, 2, 0, 2], b=[1, 1, 0, 0, 0, 0, 0, 0])
    predictions = write(tmp_path / "p", a=[1, 1, 0, 1, 2, 2, 0, 2], b=[1, 1, 0, 0, 0, 0, 0, 0])
    chosen = choose_postprocessing(predictions, references, TWO)
    assert chosen["classes"] == ["one"]  # class two truly has two parts
    evidence = chosen["evidence"]["one"]
    assert evidence["dice_before"]["one"] == pytest.approx((4 / 5 + 1) / 2)
    assert evidence["dice_after"]["one"] == 1.0
    assert chosen["evidence"]["two"]["dice_after"]["two"] < chosen["evidence"]["two"]["dice_before"]["two"]


def test_not_chosen_where_nothing_changes(tmp_path):
    same = {"a": [1, 1, 0, 2, 2, 0]}
    assert choose_postprocessing(write(tmp_path / "p", **same), write(tmp_path / "r", **same), TWO)["classes"] == []


def test_not_chosen_where_one_class_pays_for_another(tmp_path):
    """Removing the stray part of `whole` helps it, but takes a true part of `core` away."""
    labels = Labels(("whole", "core"), ((1, 2), (2,)), (1, 2))
    references = write(tmp_path / "r", a=[1, 1, 1, 0, 2, 0, 0, 0], b=[1, 1, 1, 0, 0, 0, 0, 0])
    predictions = write(tmp_path / "p", a=[1, 1, 1, 0, 2, 0, 0, 0], b=[1, 1, 1, 0, 1, 1, 0, 0])
    chosen = choose_postprocessing(predictions, references, labels)
    assert chosen["evidence"]["whole"]["dice_after"]["whole"] > chosen["evidence"]["whole"]["dice_before"]["whole"]
    assert chosen["classes"] == []


def test_prediction_without_reference_is_an_error(tmp_path):
    with pytest.raises(InputError, match="none for a"):
        choose_postprocessing(write(tmp_path / "p", a=[1]), {}, TWO)
