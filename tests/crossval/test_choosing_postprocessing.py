"""When it is chosen to remove all but the largest components of a class."""

import pytest

from mednca_pipeline.crossval.choosing_postprocessing import choose_postprocessing
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.labels import Labels

from ..evaluation.predicted import write_rows

TWO = Labels(("one", "two"), ((1,), (2,)))


def test_chosen_where_it_helps_and_only_there(tmp_path):
    references = write_rows(tmp_path / "r", a=[1, 1, 0, 0, 2, 2, 0, 2], b=[1, 1, 0, 0, 0, 0, 0, 0])
    predictions = write_rows(tmp_path / "p", a=[1, 1, 0, 1, 2, 2, 0, 2], b=[1, 1, 0, 0, 0, 0, 0, 0])
    chosen, evidence = choose_postprocessing(predictions, references, TWO)
    assert chosen == {"one": 1}  # class two truly has two parts
    assert evidence["one"]["dice_before"]["one"] == pytest.approx((4 / 5 + 1) / 2)
    assert evidence["one"]["dice_after"]["one"] == 1.0
    assert evidence["two"]["dice_after"]["two"] < evidence["two"]["dice_before"]["two"]


def test_the_plans_number_is_tried_and_kept_where_nothing_changes(tmp_path):
    references = write_rows(tmp_path / "r", a=[1, 1, 0, 0, 2, 2, 0, 2, 0, 0])
    predictions = write_rows(tmp_path / "p", a=[1, 1, 0, 0, 2, 2, 0, 2, 2, 0])
    chosen, evidence = choose_postprocessing(predictions, references, TWO, {"two": 2})
    assert chosen == {"two": 2}
    assert {name: entry["components"] for name, entry in evidence.items()} == {"one": 1, "two": 2}
    assert evidence["two"]["dice_before"] == evidence["two"]["dice_after"]
    worse, _ = choose_postprocessing(predictions, references, TWO, {"two": 1})
    assert worse == {}  # it would take a true part away


def test_not_chosen_where_nothing_changes(tmp_path):
    same = {"a": [1, 1, 0, 2, 2, 0]}
    assert choose_postprocessing(write_rows(tmp_path / "p", **same), write_rows(tmp_path / "r", **same), TWO)[0] == {}


def test_not_chosen_where_one_class_pays_for_another(tmp_path):
    """Removing the stray part of `whole` helps it, but takes a true part of `core` away."""
    labels = Labels(("whole", "core"), ((1, 2), (2,)), (1, 2))
    references = write_rows(tmp_path / "r", a=[1, 1, 1, 0, 2, 0, 0, 0], b=[1, 1, 1, 0, 0, 0, 0, 0])
    predictions = write_rows(tmp_path / "p", a=[1, 1, 1, 0, 2, 0, 0, 0], b=[1, 1, 1, 0, 1, 1, 0, 0])
    chosen, evidence = choose_postprocessing(predictions, references, labels)
    assert evidence["whole"]["dice_after"]["whole"] > evidence["whole"]["dice_before"]["whole"]
    assert chosen == {}


def test_prediction_without_reference_is_an_error(tmp_path):
    with pytest.raises(InputError, match="none for a"):
        choose_postprocessing(write_rows(tmp_path / "p", a=[1]), {}, TWO)


def test_ignored_voxels_count_neither_before_nor_after(tmp_path):
    labels = Labels(("one",), ((1,),), ignore=2)
    references = write_rows(tmp_path / "r", a=[1, 1, 0, 0, 2, 0])
    predictions = write_rows(tmp_path / "p", a=[1, 1, 0, 0, 1, 0])
    chosen, evidence = choose_postprocessing(predictions, references, labels)
    assert chosen == {} and evidence["one"]["dice_before"]["one"] == 1.0  # its island is where nothing was labelled
