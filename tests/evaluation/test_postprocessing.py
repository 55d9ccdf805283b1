"""Largest components: what is removed, and when it is chosen."""

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mednca_pipeline.evaluation.postprocessing import (
    Postprocessing,
    Removed,
    apply_postprocessing,
    choose_postprocessing,
    postprocessed_metrics,
    read_postprocessing,
)
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import write_json
from mednca_pipeline.runtime.labels import Labels

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


def write(folder, **cases):
    folder.mkdir()
    for case, labels in cases.items():
        Image.fromarray(np.array([labels], np.uint8)).save(folder / f"{case}.png")
    return {case: folder / f"{case}.png" for case in cases}


def test_chosen_where_it_helps_and_only_there(tmp_path):
    references = write(tmp_path / "r", a=[1, 1, 0, 0, 2, 2, 0, 2], b=[1, 1, 0, 0, 0, 0, 0, 0])
    predictions = write(tmp_path / "p", a=[1, 1, 0, 1, 2, 2, 0, 2], b=[1, 1, 0, 0, 0, 0, 0, 0])
    chosen, evidence = choose_postprocessing(predictions, references, TWO)
    assert chosen == {"one": 1}  # class two truly has two parts
    assert evidence["one"]["dice_before"]["one"] == pytest.approx((4 / 5 + 1) / 2)
    assert evidence["one"]["dice_after"]["one"] == 1.0
    assert evidence["two"]["dice_after"]["two"] < evidence["two"]["dice_before"]["two"]


def test_the_plans_number_is_tried_and_kept_where_nothing_changes(tmp_path):
    references = write(tmp_path / "r", a=[1, 1, 0, 0, 2, 2, 0, 2, 0, 0])
    predictions = write(tmp_path / "p", a=[1, 1, 0, 0, 2, 2, 0, 2, 2, 0])
    chosen, evidence = choose_postprocessing(predictions, references, TWO, {"two": 2})
    assert chosen == {"two": 2}
    assert {name: entry["components"] for name, entry in evidence.items()} == {"one": 1, "two": 2}
    assert evidence["two"]["dice_before"] == evidence["two"]["dice_after"]
    worse, _ = choose_postprocessing(predictions, references, TWO, {"two": 1})
    assert worse == {}  # it would take a true part away


def test_not_chosen_where_nothing_changes(tmp_path):
    same = {"a": [1, 1, 0, 2, 2, 0]}
    assert choose_postprocessing(write(tmp_path / "p", **same), write(tmp_path / "r", **same), TWO)[0] == {}


def test_not_chosen_where_one_class_pays_for_another(tmp_path):
    """Removing the stray part of `whole` helps it, but takes a true part of `core` away."""
    labels = Labels(("whole", "core"), ((1, 2), (2,)), (1, 2))
    references = write(tmp_path / "r", a=[1, 1, 1, 0, 2, 0, 0, 0], b=[1, 1, 1, 0, 0, 0, 0, 0])
    predictions = write(tmp_path / "p", a=[1, 1, 1, 0, 2, 0, 0, 0], b=[1, 1, 1, 0, 1, 1, 0, 0])
    chosen, evidence = choose_postprocessing(predictions, references, labels)
    assert evidence["whole"]["dice_after"]["whole"] > evidence["whole"]["dice_before"]["whole"]
    assert chosen == {}


def test_prediction_without_reference_is_an_error(tmp_path):
    with pytest.raises(InputError, match="none for a"):
        choose_postprocessing(write(tmp_path / "p", a=[1]), {}, TWO)


def test_ignored_voxels_count_neither_before_nor_after(tmp_path):
    labels = Labels(("one",), ((1,),), ignore=2)
    references = write(tmp_path / "r", a=[1, 1, 0, 0, 2, 0])
    predictions = write(tmp_path / "p", a=[1, 1, 0, 0, 1, 0])
    chosen, evidence = choose_postprocessing(predictions, references, labels)
    assert chosen == {} and evidence["one"]["dice_before"]["one"] == 1.0  # its island is where nothing was labelled


def test_metrics_with_components_are_measured_only_where_these_change_the_labels(tmp_path):
    reference = write(tmp_path / "r", a=[1, 1, 0, 0, 2, 2])["a"]
    prediction = write(tmp_path / "p", a=[1, 1, 0, 1, 2, 2])["a"]
    raw = {"one": {"dice": 4 / 5}}
    measured = postprocessed_metrics(prediction, reference, raw, {"one": 1}, TWO, False)
    assert measured["one"]["dice"] == 1.0 and measured["foreground"]["dice"] == 1.0
    assert postprocessed_metrics(prediction, reference, raw, {"two": 1}, TWO, False) is raw


def test_stored_choice_is_read_in_both_schemas_and_for_its_plans_alone(tmp_path):
    metrics = {"a": {"one": {"dice": 1.0}}}
    chosen = Postprocessing({"one": 2}, {"one": {"components": 2, "chosen": True}}, (0, 1), "abc", metrics)
    write_json(tmp_path / "postprocessing.json", chosen)
    assert read_postprocessing(tmp_path, "abc") == chosen
    undefined = replace(chosen, metrics={"a": {"one": {"dice": 0.0, "hd95": math.nan}}})
    write_json(tmp_path / "postprocessing.json", undefined)
    assert math.isnan(read_postprocessing(tmp_path, "abc").metrics["a"]["one"]["hd95"])
    assert read_postprocessing(tmp_path, "other plans") is None
    assert read_postprocessing(tmp_path / "nowhere", "abc") is None
    old = {"schema": 1, "classes": ["one", "two"], "cases": 3, "folds": [0], "evidence": {}, "digest": "abc"}
    write_json(tmp_path / "postprocessing.json", old)
    assert read_postprocessing(tmp_path, "abc") == Postprocessing({"one": 1, "two": 1}, {}, (0,), "abc")
    write_json(tmp_path / "postprocessing.json", {**old, "schema": 3})
    with pytest.raises(InputError, match="expected schema 2, found 3"):
        read_postprocessing(tmp_path, "abc")
