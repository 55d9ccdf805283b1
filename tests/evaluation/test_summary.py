"""Folders of predictions: pairing, means, and bad files that do not stop the others."""

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mednca_pipeline.evaluation.metrics import POLICY, Units
from mednca_pipeline.evaluation.summary import evaluate_folder, found_labels, label_files, make_summary
from mednca_pipeline.results.summary import CaseResult, SummaryUnits, read_summary, write_summary
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import read_json, write_json
from mednca_pipeline.runtime.labels import Labels

from .predicted import block, predicted_folders, write

LABELS = Labels(("organ",), ((1,),))


@pytest.fixture
def folders(tmp_path):
    return predicted_folders(tmp_path)


def test_folder_is_paired_by_case_and_averaged(folders):
    summary = evaluate_folder(*folders, LABELS, Units())
    assert list(summary.cases) == ["a", "b"]
    assert summary.missing == ("c",)
    assert summary.cases["b"].classes["organ"]["dice"] == pytest.approx(0.5)
    assert summary.mean["organ"]["dice"] == pytest.approx(0.75)
    assert summary.sd["foreground"]["dice"] == pytest.approx(0.5 / 2**0.5)
    assert summary.units.distance == "mm"
    assert summary.mean["organ"]["volume_reference"] == pytest.approx(64 * 2)


def test_raw_metrics_have_means_of_their_own_where_components_were_removed():
    def metrics(dice):
        return {"dice": dice, "hd95": 1.0, "nsd": dice, "volume_predicted": 1.0, "volume_reference": 1.0}

    pairs = {"a": (0.9, 0.7), "b": (0.8, 0.8)}
    cases = {
        case: CaseResult({"organ": metrics(kept)}, raw={"organ": metrics(raw)}) for case, (kept, raw) in pairs.items()
    }
    summary = make_summary(cases, Units(), components={"organ": 1})
    assert summary.mean["organ"]["dice"] == pytest.approx(0.85)
    assert summary.raw_means["organ"]["dice"] == pytest.approx(0.75)
    assert summary.raw_sd["organ"]["dice"] == pytest.approx(0.1 / 2**0.5)
    assert summary.cases["a"].raw_classes["organ"]["dice"] == 0.7
    plain = make_summary({"a": CaseResult({"organ": metrics(0.9)})}, Units())
    assert plain.raw_means["organ"]["dice"] == plain.cases["a"].raw_classes["organ"]["dice"] == 0.9


def empty_cases():
    """Two empty masks; a missed organ in an image of 3 x 4 mm; a found one."""
    common = {"volume_predicted": 0.0, "volume_reference": 0.0, "diagonal": 5.0}
    rows = {
        "both": {**common, "dice": math.nan, "hd95": math.nan, "nsd": math.nan},
        "one": {**common, "dice": 0.0, "hd95": math.nan, "nsd": 0.0, "volume_reference": 2.0},
        "none": {**common, "dice": 0.8, "hd95": 1.0, "nsd": 0.5, "volume_predicted": 3.0, "volume_reference": 2.0},
    }
    return {case: CaseResult({"organ": row}) for case, row in rows.items()}


def test_rows_stay_undefined_and_means_follow_the_policy_which_is_counted(tmp_path):
    summary = make_summary(empty_cases(), Units())
    assert summary.mean["organ"]["dice"] == pytest.approx((1 + 0 + 0.8) / 3)
    assert summary.mean["organ"]["hd95"] == pytest.approx((0 + 5 + 1) / 3)
    assert summary.mean["organ"]["nsd"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert summary.sd["organ"]["hd95"] == pytest.approx(7**0.5)  # of 0, 5, 1: (4 + 9 + 1) / 2
    assert summary.policy_applied == {"organ": {"empty_in_both": 1, "empty_in_one": 1}}
    assert summary.raw_policy_applied is None
    ours = summary.mean_nnunet["organ"]
    assert (ours["dice"], ours["hd95"], ours["nsd"]) == (pytest.approx(0.4), 1.0, 0.25)  # without the undefined ones
    write_summary(tmp_path / "summary.json", summary)
    assert "NaN" not in (tmp_path / "summary.json").read_text(encoding="utf-8")
    stored = read_json(tmp_path / "summary.json")["cases"]
    assert [stored[case]["classes"]["organ"]["hd95"] for case in ("both", "one", "none")] == [None, None, 1.0]
    read = read_summary(tmp_path / "summary.json")
    assert math.isnan(read.cases["both"].classes["organ"]["dice"])
    assert make_summary(read.cases, Units()).mean == summary.mean
    assert read.mean_nnunet == summary.mean_nnunet


def test_nnunets_mean_of_a_class_that_is_never_there_is_undefined(tmp_path):
    cases = {"both": empty_cases()["both"]}
    summary = make_summary(cases, Units())
    assert summary.mean["organ"]["dice"] == 1 and math.isnan(summary.mean_nnunet["organ"]["dice"])
    write_summary(tmp_path / "summary.json", summary)
    assert read_json(tmp_path / "summary.json")["mean_nnunet"]["organ"]["dice"] is None
    assert math.isnan(read_summary(tmp_path / "summary.json").mean_nnunet["organ"]["dice"])


def test_raw_rows_are_counted_apart():
    cases = empty_cases()
    raw = {case: cases["none" if case == "both" else case].classes for case in cases}
    summary = make_summary({case: replace(cases[case], raw=raw[case]) for case in cases}, Units())
    assert summary.raw_policy_applied == {"organ": {"empty_in_both": 0, "empty_in_one": 1}}
    assert summary.raw_mean["organ"]["hd95"] == pytest.approx((1 + 5 + 1) / 3)


def test_files_of_schema_1_are_read_as_they_are_and_others_refused(tmp_path):
    row = {"dice": 1.0, "hd95": 0.0, "nsd": 1.0, "volume_predicted": 0.0, "volume_reference": 0.0}
    units = {"distance": "mm", "volume": "mm^dimensions", "nsd_tolerance": 1.0}
    old = {"schema": 1, "cases": {"a": {"classes": {"organ": row}}}, "mean": {"organ": row}, "sd": {"organ": row}}
    old |= {"units": units, "policy": ""}
    write_json(tmp_path / "summary.json", old)
    read = read_summary(tmp_path / "summary.json")
    assert (read.schema, read.cases["a"].classes, read.policy_applied) == (1, {"organ": row}, None)
    assert make_summary(read.cases, Units()).mean["organ"] == row
    write_json(tmp_path / "summary.json", {**old, "schema": 3})
    with pytest.raises(InputError, match="expected schema 2, found 3"):
        read_summary(tmp_path / "summary.json")


def test_policy_says_the_tolerance_and_defines_what_tables_say():
    assert "NSD has a tolerance of 3 voxels" in Units(False, 3.0).policy
    assert "NSD has a tolerance of 3 pixels" in Units(False, 3.0, dimensions=2).policy
    assert POLICY.split(";")[0] in Units().policy
    for wrong in (-1.0, math.inf, math.nan):
        with pytest.raises(InputError, match="tolerance: expected a distance of at least 0"):
            Units(True, wrong)


def test_spacing_is_taken_in_array_order(folders):
    predictions, references = folders
    moved = np.zeros((12, 12, 12))
    moved[3:7, 3:7, 5:9] = 1  # file axes (x, y, z): two slices up, 2 mm each
    write(predictions / "a.nii.gz", moved)
    assert evaluate_folder(*folders, LABELS, Units()).cases["a"].classes["organ"]["hd95"] == pytest.approx(4.0)


def test_bad_files_are_named_and_the_others_kept(folders):
    predictions, references = folders
    (predictions / "c.nii.gz").write_bytes(b"no image")
    write(references / "d.nii.gz", block(3))
    write(predictions / "d.nii.gz", block(3)[:6])
    write(predictions / "e.nii.gz", block(3))
    summary = evaluate_folder(predictions, references, LABELS, Units())
    assert list(summary.cases) == ["a", "b"]
    assert set(summary.failed) == {"c", "d"}
    assert "shape" in summary.failed["d"]
    assert "d.nii.gz" in summary.failed["d"]
    assert summary.unmatched == ("e",)


def test_worker_processes_change_nothing(folders, workers):
    assert evaluate_folder(*folders, LABELS, Units(), workers) == evaluate_folder(*folders, LABELS, Units())


def test_maps_beside_the_labels_are_no_cases(tmp_path):
    for name in ("a", "a_probabilities_organ", "a_variance", "b_variance"):
        write(tmp_path / f"{name}.nii.gz", block(3))
    assert list(label_files(tmp_path)) == ["a", "b_variance"]  # there is no label file b


def test_nothing_to_compare_is_an_error(folders, tmp_path):
    write(tmp_path / "other" / "z.nii.gz", block(3))
    with pytest.raises(InputError, match=r"named like the label files in .* \(a.nii.gz, .*\), found z.nii.gz"):
        evaluate_folder(tmp_path / "other", folders[1], LABELS, Units())


def test_seconds_and_quality_have_their_place():
    classes = {"organ": dict.fromkeys(("dice", "hd95", "nsd", "volume_predicted", "volume_reference"), 1.0)}
    summary = make_summary({"a": CaseResult(classes, seconds=2.5)}, Units(False))
    assert summary.cases["a"].seconds == 2.5
    assert summary.cases["a"].quality is None
    assert summary.units == SummaryUnits("voxels", "voxels", 2.0)


def test_labels_are_found_in_the_files(tmp_path):
    for name, value in (("p", 255), ("r", 128)):
        (tmp_path / name).mkdir()
        Image.fromarray(np.array([[0, value]], np.uint8)).save(tmp_path / name / "a.png")
    assert found_labels(tmp_path / "r", tmp_path / "p").values == ((128,), (255,))
