import json

import pytest

from mednca_pipeline.plans.splits import Fold, read_splits, unused_cases, write_splits
from mednca_pipeline.runtime.errors import InputError


def test_written_splits_are_read_back(tmp_path):
    path = tmp_path / "splits.json"
    folds = (Fold(("a", "b"), ("c",)), Fold(("b", "c"), ("a",)))
    write_splits(path, folds)
    assert read_splits(path, "abc") == folds
    assert json.loads(path.read_text(encoding="utf-8"))["schema"] == 1


def test_nnunets_list_is_read(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text(json.dumps([{"train": ["a", "b"], "val": ["c"]}]), encoding="utf-8")
    assert read_splits(path, ["a", "b", "c", "d"]) == (Fold(("a", "b"), ("c",)),)
    assert unused_cases(read_splits(path, "abcd"), "abcd") == ("d",)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([{"train": ["a", "b"], "val": ["b", "c"]}], "fold 0: .*b in both"),
        ([{"train": ["a"], "val": ["c"]}, {"train": ["d"], "val": ["a"]}], r"fold 1: .*\(d and a\)"),
        ([{"train": ["a", "x"], "val": ["c"]}], "1 others: x"),
        ([{"train": ["a"], "val": []}], "cases in val"),
        ([{"train": ["a"]}], "fold 0: expected"),
        ([], "list of folds"),
        ({"schema": 1, "folds": []}, "list of folds"),
        ({"schema": 7, "folds": []}, "schema"),
    ],
)
def test_leaking_and_malformed_splits_are_refused(tmp_path, folds, message):
    path = tmp_path / "splits.json"
    path.write_text(json.dumps(folds), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_splits(path, ["a", "b", "c", "d"], groups=[("a", "d")])


def test_groups_of_the_file_are_checked_at_every_reading(tmp_path):
    path = tmp_path / "splits.json"
    write_splits(path, [Fold(("a", "b"), ("c",))], groups=[("a", "c")])
    with pytest.raises(InputError, match="identical images"):
        read_splits(path, "abc")
