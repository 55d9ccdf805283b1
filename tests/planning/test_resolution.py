import pytest

from mednca_pipeline.planning.planner import make_plans
from mednca_pipeline.planning.resolution import mean_ceilings, working_spacing

from .made_fingerprints import alike, make_case, make_fingerprint

SQUARE, LESION = (400, 512), {"a": (100, 90)}


def falling(*dice, name="a"):
    """Dice at the ladder's spacings above 1."""
    return {"yx": {spacing: {name: value} for spacing, value in zip((1.189, 1.414, 1.682, 2.0), dice, strict=False)}}


def test_the_coarsest_spacing_that_keeps_the_labels_is_taken():
    chosen = working_spacing(alike(SQUARE, LESION, ceilings=falling(0.998, 0.996, 0.992, 0.988)), (0, 1), (1.0, 1.0))
    assert chosen.value == (1.682, 1.682)
    assert "taken to 1.68 mm and back keep a Dice of 0.9920" in chosen.because
    assert "at 2 mm they would keep a Dice of 0.9880, below 0.99" in chosen.because


def test_where_any_coarser_grid_loses_too_much_the_spacing_stays():
    chosen = working_spacing(alike(SQUARE, LESION, ceilings=falling(0.971)), (0, 1), (1.0, 1.0))
    assert chosen.value == (1.0, 1.0)
    assert "not coarser: labels taken to 1.19 mm and back would keep a Dice of 0.9710, below 0.99" in chosen.because


def test_each_class_keeps_its_own_dice():
    dice = {"yx": {1.189: {"a": 0.999, "b": 0.983}, 1.414: {"a": 0.999, "b": 0.979}, 1.682: {"a": 0.9, "b": 0.9}}}
    chosen = working_spacing(alike(SQUARE, {"a": (100, 90), "b": (9, 9)}, ceilings=dice), (0, 1), (1.0, 1.0))
    assert chosen.value == (1.189, 1.189)
    assert "keep a Dice of 0.9910" in chosen.because
    two = {"yx": {1.189: {"a": 1.0, "b": 0.979}}}
    lost = working_spacing(alike(SQUARE, {"a": (100, 90), "b": (9, 9)}, ceilings=two), (0, 1), (1.0, 1.0))
    assert lost.value == (1.0, 1.0)
    three = {"yx": {1.189: {"a": 1.0, "b": 0.979, "c": 1.0}}}
    extents = {"a": (100, 90), "b": (9, 9), "c": (100, 90)}
    lost = working_spacing(alike(SQUARE, extents, ceilings=three), (0, 1), (1.0, 1.0))
    assert lost.value == (1.0, 1.0) and "0.9790 in b, below 0.98" in lost.because


def test_a_spacing_that_a_case_did_not_measure_counts_as_lost():
    cases = [make_case(f"c{i}", SQUARE, LESION, ceilings=falling(0.999, 0.998, 0.997)) for i in range(9)]
    cases.append(make_case("lost", SQUARE, LESION, ceilings=falling(0.95)))
    fingerprint = make_fingerprint(cases)
    assert mean_ceilings(fingerprint, (0, 1), 1.189) == {"a": pytest.approx((9 * 0.999 + 0.95) / 10)}
    assert mean_ceilings(fingerprint, (0, 1), 1.414) == {"a": pytest.approx(9 * 0.998 / 10)}
    assert working_spacing(fingerprint, (0, 1), (1.0, 1.0)).value == (1.189, 1.189)


def test_cases_that_are_coarser_lose_nothing_and_absent_classes_do_not_count():
    cases = [
        make_case("fine", SQUARE, LESION, ceilings=falling(0.99, 0.98)),
        make_case("coarse", SQUARE, LESION, spacing=(1.3, 1.2)),
        make_case("empty", SQUARE, {"a": ()}),
    ]
    assert mean_ceilings(make_fingerprint(cases), (0, 1), 1.189) == {"a": pytest.approx(0.995)}


def test_slices_are_coarsened_in_plane_only_and_volumes_leave_a_coarser_axis_alone():
    dice = {1.189: {"a": 0.999}, 1.414: {"a": 0.995}, 1.682: {"a": 0.98}}
    ceilings = {"yx": dice, "zx": {}, "zy": {}, "zyx": {1.189: {"a": 0.991}}}
    ceilings = {axes: found or {1.189: {"a": 0.5}} for axes, found in ceilings.items()}
    plans = make_plans(alike((20, 320, 320), {"a": (6, 40, 40)}, spacing=(10.0, 1.0, 1.0), ceilings=ceilings))
    assert plans.configs["2d"].preprocessing.spacing_mm == (None, 1.414, 1.414)
    assert plans.configs["3d"].preprocessing.spacing_mm == (10.0, 1.189, 1.189)


def test_unknown_spacing_of_pictures_is_in_pixels():
    fingerprint = alike(SQUARE, LESION, ceilings=falling(0.995, 0.98), spacing_known=False)
    assert "1.19 pixels" in working_spacing(fingerprint, (0, 1), (1.0, 1.0)).because


def test_a_spacing_that_passes_by_luck_behind_one_that_fails_is_not_taken():
    """A grid may happen to fit the labels of a small dataset."""
    chosen = working_spacing(alike(SQUARE, LESION, ceilings=falling(0.995, 0.94, 0.992, 0.86)), (0, 1), (1.0, 1.0))
    assert chosen.value == (1.189, 1.189) and "at 1.41 mm they would keep a Dice of 0.9400" in chosen.because
