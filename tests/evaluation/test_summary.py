"""Folders of predictions: pairing, means, and bad files that do not stop the others."""

import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from mednca_pipeline.cli.evaluate import main
from mednca_pipeline.evaluation.summary import evaluate_folder, found_labels, label_files, make_summary
from mednca_pipeline.execution.executors import open_executor
from mednca_pipeline.results.summary import CaseResult, Units
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.labels import Labels

LABELS = Labels(("organ",), ((1,),))


def write(file, array, spacing=(1.0, 1.0, 2.0)):
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array.astype(np.uint8), np.diag([*spacing, 1.0])), file)


def block(first, size=4):
    labels = np.zeros((12, 12, 12))
    labels[first : first + size, 3:7, 3:7] = 1
    return labels


@pytest.fixture
def folders(tmp_path):
    for case in ("a", "b", "c"):
        write(tmp_path / "labels" / f"{case}.nii.gz", block(3))
    write(tmp_path / "pred" / "a.nii.gz", block(3))
    write(tmp_path / "pred" / "b.nii", block(5))
    return tmp_path / "pred", tmp_path / "labels"


def test_folder_is_paired_by_case_and_averaged(folders):
    summary = evaluate_folder(*folders, LABELS)
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
    summary = make_summary(cases, True, components={"organ": 1})
    assert summary.mean["organ"]["dice"] == pytest.approx(0.85)
    assert summary.raw_means["organ"]["dice"] == pytest.approx(0.75)
    assert summary.raw_sd["organ"]["dice"] == pytest.approx(0.1 / 2**0.5)
    assert summary.cases["a"].raw_classes["organ"]["dice"] == 0.7
    plain = make_summary({"a": CaseResult({"organ": metrics(0.9)})}, True)
    assert plain.raw_means["organ"]["dice"] == plain.cases["a"].raw_classes["organ"]["dice"] == 0.9


def test_spacing_is_taken_in_array_order(folders):
    predictions, references = folders
    moved = np.zeros((12, 12, 12))
    moved[3:7, 3:7, 5:9] = 1  # file axes (x, y, z): two slices up, 2 mm each
    write(predictions / "a.nii.gz", moved)
    assert evaluate_folder(*folders, LABELS).cases["a"].classes["organ"]["hd95"] == pytest.approx(4.0)


def test_bad_files_are_named_and_the_others_kept(folders):
    predictions, references = folders
    (predictions / "c.nii.gz").write_bytes(b"no image")
    write(references / "d.nii.gz", block(3))
    write(predictions / "d.nii.gz", block(3)[:6])
    write(predictions / "e.nii.gz", block(3))
    summary = evaluate_folder(predictions, references, LABELS)
    assert list(summary.cases) == ["a", "b"]
    assert set(summary.failed) == {"c", "d"}
    assert "shape" in summary.failed["d"]
    assert "d.nii.gz" in summary.failed["d"]
    assert summary.unmatched == ("e",)


def test_a_worker_process_changes_nothing(folders):
    with open_executor(1) as executor:
        assert evaluate_folder(*folders, LABELS, executor=executor) == evaluate_folder(*folders, LABELS)


def test_maps_beside_the_labels_are_no_cases(tmp_path):
    for name in ("a", "a_probabilities_organ", "a_variance", "b_variance"):
        write(tmp_path / f"{name}.nii.gz", block(3))
    assert list(label_files(tmp_path)) == ["a", "b_variance"]  # there is no label file b


def test_nothing_to_compare_is_an_error(folders, tmp_path):
    write(tmp_path / "other" / "z.nii.gz", block(3))
    with pytest.raises(InputError, match="found z.nii.gz there and a.nii.gz"):
        evaluate_folder(tmp_path / "other", folders[1], LABELS)


def test_seconds_and_quality_have_their_place():
    classes = {"organ": dict.fromkeys(("dice", "hd95", "nsd", "volume_predicted", "volume_reference"), 1.0)}
    summary = make_summary({"a": CaseResult(classes, seconds=2.5)}, spacing_known=False)
    assert summary.cases["a"].seconds == 2.5
    assert summary.cases["a"].quality is None
    assert summary.units == Units("voxels", "voxels", 2.0)


def test_labels_are_found_in_the_files(tmp_path):
    for name, value in (("p", 255), ("r", 128)):
        (tmp_path / name).mkdir()
        Image.fromarray(np.array([[0, value]], np.uint8)).save(tmp_path / name / "a.png")
    assert found_labels(tmp_path / "r", tmp_path / "p").values == ((128,), (255,))


def test_command_takes_labels_from_dataset_json_and_names_what_is_missing(folders, capsys):
    predictions, references = folders
    content = {"labels": {"background": 0, "kidney": 1}, "spacing_known": False}
    (references.parent / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    assert main(["-p", str(predictions), "-l", str(references)]) == 2  # case c is missing
    summary = json.loads((predictions / "summary.json").read_text(encoding="utf-8"))
    assert set(summary["mean"]) == {"kidney", "foreground"}
    assert summary["units"]["distance"] == "voxels"
    output = capsys.readouterr()
    assert "0.7500" in output.out
    assert "1 (c)" in output.err


def test_command_measures_pictures_in_pixels(tmp_path):
    for name, first in (("p", 4), ("r", 2)):
        (tmp_path / name).mkdir()
        mask = np.zeros((20, 20), np.uint8)
        mask[first : first + 8, 2:10] = 255
        Image.fromarray(mask).save(tmp_path / name / "a.png")
    assert main(["-p", str(tmp_path / "p"), "-l", str(tmp_path / "r"), "-o", str(tmp_path / "s.json"), "--quiet"]) == 0
    case = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["cases"]["a"]["classes"]["label 255"]
    assert case["hd95"] == pytest.approx(2.0)
    assert case["volume_reference"] == 64
