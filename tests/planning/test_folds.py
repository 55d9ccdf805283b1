import pytest

from mednca_pipeline.planning.folds import make_folds, read_groups
from mednca_pipeline.runtime.errors import InputError

NAMES = [f"case_{i:02d}" for i in range(23)]


def test_folds_partition_the_cases_whatever_their_order():
    folds = make_folds(NAMES)
    assert sorted(name for fold in folds for name in fold.val) == NAMES
    assert all(sorted(fold.train + fold.val) == NAMES for fold in folds)
    assert sorted(len(fold.val) for fold in folds) == [4, 4, 5, 5, 5]
    assert make_folds(reversed(NAMES)) == folds


def test_folds_are_those_of_nnunet():
    import numpy as np
    from sklearn.model_selection import KFold

    theirs = KFold(5, shuffle=True, random_state=12345).split(np.array(NAMES))
    assert [fold.val for fold in make_folds(NAMES)] == [tuple(NAMES[i] for i in val) for _, val in theirs]


def test_groups_stay_together_and_folds_stay_even():
    groups = [NAMES[0:4], NAMES[3:6], NAMES[10:12], ["unknown", NAMES[20]]]
    folds = make_folds(NAMES, 5, groups)
    for group in (NAMES[0:6], NAMES[10:12]):  # the first two groups share case_03
        assert sum(bool(set(group) & set(fold.val)) for fold in folds) == 1
    assert sorted(name for fold in folds for name in fold.val) == NAMES
    assert max(len(fold.val) for fold in folds) <= 6


def test_too_few_cases_or_groups_for_the_folds():
    with pytest.raises(InputError, match="--folds 5: expected .* found 3 cases"):
        make_folds(NAMES[:3])
    with pytest.raises(InputError, match="found 2 groups of cases"):
        make_folds(NAMES[:6], 3, [NAMES[:5]])
    with pytest.raises(InputError):
        make_folds(NAMES, 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("groups.csv", "case,patient\na,p1\nb,p2\nc,p1\nzzz,p2\n"),
        ("groups.tsv", "a\tp1\nb\tp2\n\nc\tp1\n"),
        ("groups.csv", "a;p1\nc;p1\n"),
        ("groups.json", '{"a": 1, "b": 2, "c": 1}'),
    ],
)
def test_groups_are_read_from_csv_and_json(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert read_groups(path, {"a", "b", "c", "d"}) == [("a", "c")]


@pytest.mark.parametrize(
    ("name", "text", "left_out", "strangers"),
    [
        ("groups.csv", "case,patient\na,p1\nb,p1\n", "1 of 3 cases (c)", None),  # a header is no stranger
        ("groups.csv", "a,p1\nb,p1\nC,p1\n", "1 of 3 cases (c)", "1 of its lines name no case of this dataset (C)"),
        ("groups.json", '{"x": 1, "a": 1, "b": 1, "c": 2}', None, "1 of its lines name no case of this dataset (x)"),
        ("groups.json", '{"a": 1, "b": 1, "c": 2}', None, None),
    ],
)
def test_what_a_file_of_groups_leaves_out_is_noted(tmp_path, name, text, left_out, strangers):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    notes = []
    assert read_groups(path, ["a", "b", "c"], notes) == [("a", "b")]
    assert len(notes) == (left_out is not None) + (strangers is not None)
    assert all(expected in " ".join(notes) for expected in (left_out, strangers) if expected)


@pytest.mark.parametrize(("text", "message"), [("x,p1\ny,p1\n", "found no case"), ("a\nb\n", r"found \['a'\]")])
def test_groups_that_fit_no_case_are_refused(tmp_path, text, message):
    path = tmp_path / "groups.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_groups(path, {"a", "b"})


@pytest.mark.parametrize(
    ("cases", "groups", "found", "remedy"),
    [
        (["a"], (), "1 case", "Add labelled cases of other patients, at least one."),
        (["a", "b", "c"], (("a", "b", "c"),), "3 cases of one patient, or with the same image", "correct --groups"),
    ],
)
@pytest.mark.parametrize("n_folds", [1, 5])
def test_where_nothing_can_be_kept_apart_no_number_of_folds_is_proposed(cases, groups, found, remedy, n_folds):
    with pytest.raises(InputError) as error:
        make_folds(cases, n_folds, groups)
    assert "--folds" not in str(error.value) and error.value.found == found and remedy in error.value.remedy
    assert error.value.expected == "at least 2 cases to keep apart, one to train on and one to validate on"


@pytest.mark.parametrize(
    ("n_folds", "cases", "remedy"), [(1, "abc", "from 2 to 3"), (7, "abc", "from 2 to 3"), (3, "ab", "2")]
)
def test_another_number_of_folds_is_named(n_folds, cases, remedy):
    with pytest.raises(InputError) as error:
        make_folds(cases, n_folds)
    assert error.value.where == f"--folds {n_folds}" and error.value.remedy == f"Choose {remedy}."
