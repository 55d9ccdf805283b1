"""The command mednca_evaluate."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from mednca_pipeline.cli.evaluate import main
from mednca_pipeline.results.summary import read_summary, write_summary

from ..evaluation.predicted import block, pixels_of, predicted_folders, write


@pytest.fixture
def folders(tmp_path):
    return predicted_folders(tmp_path)


def test_command_takes_labels_from_dataset_json_and_names_what_has_no_partner(folders, capsys):
    """Two of three label files have a prediction, which is no error."""
    predictions, references = folders
    content = {"labels": {"background": 0, "kidney": 1}, "spacing_known": False}
    (references.parent / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    write(predictions / "alien.nii.gz", np.zeros((12, 12, 12)))
    assert main(["-p", str(predictions), "-l", str(references)]) == 0
    summary = json.loads((predictions / "summary.json").read_text(encoding="utf-8"))
    assert set(summary["mean"]) == {"kidney", "foreground"}
    assert summary["units"]["distance"] == "voxels"
    output = capsys.readouterr()
    assert "0.7500" in output.out and "2 of 3 with a reference" in output.out and "HD95 (voxels)" in output.out
    assert "note: 2 of 3 label files have a prediction; without one: c\n" in output.out
    assert "note: predictions without a label file: 1 (alien)" in output.out
    assert output.err == "Evaluating...\n" and summary["missing"] == ["c"] and summary["unmatched"] == ["alien"]


def test_a_class_absent_from_both_masks_has_nnunets_mean_beside_ours(folders, capsys):
    """Case a is right and b half right; a third case has nothing in either mask."""
    predictions, references = folders
    for folder in (predictions, references):
        write(folder / "c.nii.gz", np.zeros((12, 12, 12)))
    assert main(["-p", str(predictions), "-l", str(references)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "left out by nnU-Net" in shown and "0.8333" in shown and "0.7500" in shown
    summary = json.loads((predictions / "summary.json").read_text(encoding="utf-8"))
    assert summary["mean"]["label 1"]["dice"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert summary["mean_nnunet"]["label 1"]["dice"] == pytest.approx((1 + 0.5) / 2)


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


def test_command_takes_another_tolerance(folders, capsys):
    """Blocks 4 mm (two slices) apart: within 4 mm all of both outlines lies, within 1 mm the sides alone."""
    predictions, references = folders
    moved = np.zeros((12, 12, 12))
    moved[3:7, 3:7, 5:9] = 1
    write(predictions / "a.nii.gz", moved)
    found = {}
    for tolerance in ("1", "4"):
        main(["-p", str(predictions), "-l", str(references), "--tolerance", tolerance])
        summary = json.loads((predictions / "summary.json").read_text(encoding="utf-8"))
        assert summary["units"]["nsd_tolerance"] == float(tolerance)
        found[tolerance] = summary["cases"]["a"]["classes"]["label 1"]["nsd"]
        assert f"NSD at {tolerance} mm" in capsys.readouterr().out
    assert found["1"] < 0.8 and found["4"] == 1.0
    assert main(["-p", str(predictions), "-l", str(references), "--tolerance", "-1"]) == 2
    assert "tolerance: expected a distance of at least 0" in capsys.readouterr().err


def test_a_reference_without_an_orientation_is_not_compared_mirrored(tmp_path, capsys):
    """Read by its own header, it would be turned against the prediction: Dice 0."""
    voxels = np.zeros((12, 10, 8), np.uint8)
    voxels[1:4, 1:4, 2:6] = 1
    for folder, codes in (("p", (1, 1)), ("r", (0, 0))):
        image = nib.Nifti1Image(voxels, None)
        image.header.set_zooms((1.0, 1.0, 2.0))
        if any(codes):
            image.set_sform(np.diag([1.0, 1.0, 2.0, 1.0]), 1)
        (tmp_path / folder).mkdir()
        nib.save(image, tmp_path / folder / "a.nii.gz")
    for one, other in (("p", "r"), ("r", "p")):
        out = tmp_path / f"{one}.json"
        assert main(["-p", str(tmp_path / one), "-l", str(tmp_path / other), "-o", str(out)]) == 0
        row = json.loads(out.read_text(encoding="utf-8"))["cases"]["a"]["classes"]["label 1"]
        assert (row["dice"], row["hd95"], row["volume_reference"]) == (1.0, 0.0, 72.0)


def test_a_reference_that_is_mirrored_against_its_prediction_fails_by_name(folders, capsys):
    predictions, references = folders
    nib.save(nib.Nifti1Image(block(3).astype(np.uint8), np.diag([-1.0, 1.0, 2.0, 1.0])), references / "a.nii.gz")
    assert main(["-p", str(predictions), "-l", str(references)]) == 2
    failed = json.loads((predictions / "summary.json").read_text(encoding="utf-8"))["failed"]
    assert list(failed) == ["a"] and "origin" in failed["a"] and "copy the header" in failed["a"]


def test_a_file_that_is_no_summary_is_not_overwritten(folders, tmp_path, capsys):
    predictions, references = folders
    thesis = tmp_path / "thesis.json"
    thesis.write_text("{}", encoding="utf-8")
    arguments = ["-p", str(predictions), "-l", str(references), "-o"]
    assert main([*arguments, str(thesis)]) == 2
    assert "found a file of something else" in capsys.readouterr().err and thesis.read_text(encoding="utf-8") == "{}"
    for _ in range(2):  # its own summary is
        assert main([*arguments, str(tmp_path / "summary.json"), "--quiet"]) == 0
    assert (tmp_path / "summary.json").is_file()


def test_the_worst_cases_are_printed_drawn_and_in_a_table(folders, capsys, monkeypatch):
    """Case a is right; b is moved by half of the block's side, which is 2 voxels of 1 mm."""
    predictions, references = folders
    (predictions / "worst").mkdir()
    (predictions / "worst" / "c.png").touch()  # not a case of this summary: someone else's
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(predictions.parent)
    assert main(["-p", str(predictions), "-l", str(references)]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    first = lines.index("The 2 worst of 2 cases, drawn in pred/worst:")
    assert lines[first + 1 : first + 3] == [
        "  b: label 1 Dice 0.500, HD95 2 mm",
        "  a: label 1 Dice 1.000, HD95 0 mm",
    ]
    assert [line for line in (*lines, *err.splitlines()) if len(line) > 80] == []
    table = (predictions / "cases.csv").read_text(encoding="utf-8").splitlines()
    assert table[0] == "case,class,dice,hd95_mm,nsd,volume_predicted_mm3,volume_reference_mm3"
    assert table[1].startswith("b,label 1,0.5000,2,") and table[1].endswith(",128,128")
    assert {file.name for file in (predictions / "worst").iterdir()} == {"a.png", "b.png", "c.png"}


def test_the_worst_cases_are_drawn_on_the_images_of_the_dataset(tmp_path):
    """labelsTs has its images in imagesTs; without them the labels are drawn on black."""
    bright = {}
    for images in ("", "imagesTs"):
        folder = tmp_path / (images or "none")
        predicted_folders(folder)
        (folder / "labels").rename(folder / "labelsTs")
        if images:
            for case in ("a", "b"):
                write(folder / images / f"{case}_0000.nii.gz", np.arange(12**3).reshape(12, 12, 12) % 200)
        main(["-p", str(folder / "pred"), "-l", str(folder / "labelsTs"), "--quiet"])
        pixels = pixels_of(folder / "pred" / "worst" / "b.png")
        bright[images] = ((np.ptp(pixels, axis=-1) < 5) & (pixels[..., 0] > 40) & (pixels[..., 0] < 200)).sum()
    assert bright["imagesTs"] > 5 * bright[""] > 0


def test_two_outputs_in_one_folder_share_nothing(folders, tmp_path):
    predictions, references = map(str, folders)
    for name in ("first", "second"):
        assert main(["-p", predictions, "-l", references, "-o", str(tmp_path / "out" / f"{name}.json")]) == 0
    written = {file.name for file in (tmp_path / "out").iterdir()}
    assert written == {f"{name}{rest}" for name in ("first", "second") for rest in (".json", "_cases.csv", "_worst")}


def test_the_summary_of_more_cases_is_not_replaced_by_one_of_fewer(folders, capsys):
    predictions, references = folders
    arguments = ["-p", str(predictions), "-l", str(references)]
    assert main(arguments) == 0
    file = predictions / "summary.json"
    before = file.read_bytes()
    next(predictions.glob("b.*")).unlink()
    assert main(arguments) == 2 and file.read_bytes() == before
    assert "found 1 more, which are in it now: b" in " ".join(capsys.readouterr().err.split())
    assert main([*arguments, "--overwrite"]) == 0 and list(read_summary(file).cases) == ["a"]


def test_the_summary_of_a_training_is_not_replaced(folders, tmp_path, capsys):
    predictions, references = map(str, folders)
    file = tmp_path / "summary.json"
    assert main(["-p", predictions, "-l", references, "-o", str(file)]) == 0
    write_summary(file, replace(read_summary(file), components={}))
    assert main(["-p", predictions, "-l", references, "-o", str(file)]) == 2
    assert "the summary of a training" in capsys.readouterr().err


def test_where_no_case_can_be_evaluated_each_is_named_once_and_nothing_is_written(folders, capsys):
    predictions, references = folders
    for file in list(predictions.iterdir()):
        write(file, np.zeros((3, 3, 3)))
    assert main(["-p", str(predictions), "-l", str(references)]) == 2
    said = capsys.readouterr()
    assert said.err.count("failed: a:") == said.err.count("failed: b:") == 1
    assert "No case could be evaluated" in said.err and "Dice" not in said.out and "Written" not in said.out
    assert not (predictions / "summary.json").exists()


def test_a_table_of_something_else_is_not_overwritten_and_one_case_has_no_spread(folders, tmp_path, capsys):
    predictions, references = folders
    next(predictions.glob("b.*")).unlink()
    arguments = ["-p", str(predictions), "-l", str(references), "-o", str(tmp_path / "B.json")]
    (tmp_path / "B_cases.csv").write_text("name,age\n", encoding="utf-8")
    assert main(arguments) == 2 and not (tmp_path / "B.json").exists()
    assert (tmp_path / "B_cases.csv").read_text(encoding="utf-8") == "name,age\n"
    (tmp_path / "B_cases.csv").unlink()
    assert main(arguments) == main(arguments) == 0
    out = capsys.readouterr().out
    assert "1 of 3 with a reference" in out and "±" not in out
