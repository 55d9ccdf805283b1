"""How many components of a class the plan keeps."""

from dataclasses import replace

import pytest

from mednca_pipeline.fingerprint.fingerprint import ClassStatistics
from mednca_pipeline.models.registry import read_plans
from mednca_pipeline.planning.components import components_decision, steady_components
from mednca_pipeline.planning.planner import make_plans
from mednca_pipeline.plans.plans import Plans, describe_components, write_plans
from mednca_pipeline.runtime.files import read_json, write_json

from .made_fingerprints import alike, make_case, make_fingerprint


def with_components(**counts):
    """A dataset with a case for each number of components, which are given per class."""
    cases = []
    for index, numbers in enumerate(zip(*counts.values(), strict=True)):
        case = make_case(f"case_{index:03d}", (64, 64), dict.fromkeys(counts, (9, 9)))
        classes = {
            name: ClassStatistics(81 * bool(number), (9, 9) if number else (), number)
            for name, number in zip(counts, numbers, strict=True)
        }
        cases.append(replace(case, classes=classes))
    return make_fingerprint(cases)


@pytest.mark.parametrize(
    ("counts", "components"),
    [
        ([1] * 39 + [3], {"organ": 1}),  # one label with stray voxels
        ([2] * 93 + [3] * 6 + [4], {"organ": 2}),
        ([1] * 9 + [2], {"organ": 1}),  # nine tenths are enough
        ([1] * 8 + [2] * 2, {}),
        ([1] * 83 + [2] * 2 + [0] * 15, {}),  # what is often absent may be there twice
        ([3] * 20, {}),  # more than a pair
        ([0] * 20, {}),
        ([1] * 4, {}),  # too few labels to say
        ([1] * 5, {"organ": 1}),
    ],
)
def test_a_number_that_nearly_every_label_has_is_kept(counts, components):
    assert steady_components(with_components(organ=counts)).value == components


def test_each_class_by_itself_and_the_reason_has_the_counts():
    chosen = steady_components(with_components(lung=[2] * 9 + [3], nodule=[0] * 4 + [1] * 6, heart=[1] * 10))
    assert chosen.value == {"lung": 2, "heart": 1}
    assert chosen.because == (
        "9 of 10 training labels have 2 components of lung, 10 of 10 have 1 component of heart: from 90% on prediction "
        "keeps that many; 6 of 10 training labels have 1 component of nodule: where fewer than 90% agree on 1 or 2, "
        "all are kept"
    )
    assert components_decision(chosen.value) == "1 component of heart, 2 components of lung"


def test_many_classes_are_summed_up_in_the_reason():
    many = {f"organ{index}": [1] * 10 for index in range(8)} | {"stray": [1] * 9 + [2]}
    because = steady_components(with_components(**many)).because
    assert because.startswith("9 of 10 training labels have 1 component of stray")
    assert "and 6 more classes at least as often" in because and "organ7" not in because


def test_partly_labelled_images_say_nothing():
    fingerprint = with_components(organ=[1] * 10)
    fingerprint = replace(fingerprint, labels=replace(fingerprint.labels, ignore=2))
    assert steady_components(fingerprint).value == {}
    assert "not labelled" in steady_components(fingerprint).because


def test_plans_have_it_with_its_reason_and_the_digest_does_not(tmp_path):
    plans = make_plans(alike((64, 64), {"organ": (20, 20)}))
    assert plans.components == {"organ": 1}
    (decision,) = (decision for decision in plans.decisions if decision.name == "components")
    assert (decision.config, decision.value) == ("all", "1 component of organ")
    assert "10 of 10 training labels" in decision.because
    assert replace(plans, components={}).digest("2d", "mednca") == plans.digest("2d", "mednca")
    write_plans(tmp_path / "plans.json", plans)
    assert read_plans(tmp_path / "plans.json") == plans


def test_plans_of_earlier_versions_keep_all(tmp_path):
    write_plans(tmp_path / "plans.json", make_plans(alike((64, 64), {"organ": (20, 20)})))
    stored = read_json(tmp_path / "plans.json")
    del stored["components"]
    write_json(tmp_path / "old.json", stored)
    assert isinstance(read_plans(tmp_path / "old.json"), Plans) and read_plans(tmp_path / "old.json").components == {}


def test_description_groups_equal_numbers():
    assert describe_components({}) == ""
    assert describe_components({"prostate": 1}) == "1 component of prostate"
    assert describe_components({"lung": 2, "a": 1, "b": 1, "c": 1}) == (
        "1 component each of a, b and c, 2 components of lung"
    )
