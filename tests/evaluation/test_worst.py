"""The worst cases: their order, their table, their words."""

import csv
import math

import numpy as np

from mednca_pipeline.evaluation.metrics import Units
from mednca_pipeline.evaluation.overlays import Picture
from mednca_pipeline.evaluation.summary import make_summary
from mednca_pipeline.evaluation.worst import draw_worst, worst_cases, worst_lines, write_cases
from mednca_pipeline.results.summary import CaseResult
from mednca_pipeline.runtime.errors import InputError


def row(dice, hd95=2.0):
    return {"dice": dice, "hd95": hd95, "nsd": 0.5, "volume_predicted": 10.0, "volume_reference": 20.5, "diagonal": 9.0}


def summary_of(known=True, **cases):
    """{case: {class: (dice, hd95)}}, with the merged foreground."""
    results = {
        case: CaseResult({**{name: row(*values) for name, values in classes.items()}, "foreground": row(0.0)})
        for case, classes in cases.items()
    }
    return make_summary(results, Units(known))


TWO = {"a": {"liver": (0.9, 1.0), "spleen": (0.8, 1.0)}, "b": {"liver": (0.3, 4.25), "spleen": (math.nan, math.nan)}}


def test_the_table_is_sorted_by_dice_with_units_and_what_is_undefined_last(tmp_path):
    write_cases(tmp_path / "cases.csv", summary_of(**TWO), dimensions=3)
    rows = list(csv.reader((tmp_path / "cases.csv").open(encoding="utf-8")))
    head, *body = rows
    assert head == ["case", "class", "dice", "hd95_mm", "nsd", "volume_predicted_mm3", "volume_reference_mm3"]
    classes = [line for line in body if line[1] != "foreground"]
    assert [line[:2] for line in classes] == [["b", "liver"], ["a", "spleen"], ["a", "liver"], ["b", "spleen"]]
    assert classes[0][2:] == ["0.3000", "4.25", "0.5000", "10", "20.5"] and classes[-1][2:4] == ["", ""]
    write_cases(tmp_path / "cases.csv", summary_of(known=False, **TWO), dimensions=2)
    assert "hd95_voxels,nsd,volume_predicted_voxels" in (tmp_path / "cases.csv").read_text(encoding="utf-8")


def test_a_single_class_has_one_row_for_each_case(tmp_path):
    write_cases(tmp_path / "cases.csv", summary_of(a={"lesion": (0.5, 1.0)}), dimensions=2)
    assert len((tmp_path / "cases.csv").read_text(encoding="utf-8").splitlines()) == 2


def test_a_case_is_as_bad_as_its_worst_class_and_five_are_named():
    cases = {f"c{number}": {"liver": (number / 10, 1.0), "spleen": (0.95, 1.0)} for number in range(8)}
    worst = worst_cases(summary_of(**cases))
    assert [(found.case, found.name) for found in worst] == [(f"c{number}", "liver") for number in range(5)]


def test_equal_dice_is_ordered_by_distance():
    worst = worst_cases(
        summary_of(near={"liver": (0.0, 3.0)}, far={"liver": (0.0, 30.0)}, none={"liver": (0.0, math.nan)})
    )
    assert [found.case for found in worst] == ["none", "far", "near"]


def test_lines_name_class_and_unit(tmp_path):
    lines = list(worst_lines(summary_of(**TWO), tmp_path))
    assert lines[0] == f"The 2 worst of 2 cases, drawn in {tmp_path}:"
    assert lines[1:] == ["  b: liver Dice 0.300, HD95 4.25 mm", "  a: spleen Dice 0.800, HD95 1 mm"]
    assert list(worst_lines(summary_of(a={"liver": (math.nan, math.nan)}))) == []


def test_pictures_of_former_worst_cases_go_and_what_cannot_be_drawn_is_said(tmp_path, caplog):
    summary = summary_of(**{f"c{number}": {"liver": (number / 10, 1.0)} for number in range(7)})
    for name in ("c6", "mine"):
        (tmp_path / f"{name}.png").touch()

    def picture_of(case):
        if case == "c1":
            raise InputError(case, "an image", "none")
        return Picture(case, np.zeros((1, 8, 8)), {"prediction": np.eye(8, dtype=int)})

    draw_worst(summary, tmp_path, picture_of)
    assert {file.stem for file in tmp_path.iterdir()} == {"mine", "c0", "c2", "c3", "c4"}
    assert "c1 is not drawn" in caplog.text


def test_a_class_that_is_called_foreground_is_a_class_where_it_is_alone():
    """mednca_convert pairs calls a single class so."""
    results = {case: CaseResult({"foreground": row(dice)}) for case, dice in (("a", 0.9), ("b", 0.2))}
    assert [(found.case, found.dice) for found in worst_cases(make_summary(results, Units(True)))] == [
        ("b", 0.2),
        ("a", 0.9),
    ]
