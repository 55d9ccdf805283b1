"""The command mednca_evaluate."""

import json

import numpy as np
import pytest
from PIL import Image

from mednca_pipeline.cli.evaluate import main

from ..evaluation.predicted import pixels_of, predicted_folders, write


@pytest.fixture
def folders(tmp_path):
    return predicted_folders(tmp_path)


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


def test_the_worst_cases_are_printed_drawn_and_in_a_table(folders, capsys, monkeypatch):
    """Case a is right; b is moved by half of the block's side, which is 2 voxels of 1 mm."""
    predictions, references = folders
    (predictions / "worst").mkdir()
    (predictions / "worst" / "c.png").touch()  # not a case of this summary: someone else's
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(predictions.parent)
    assert main(["-p", str(predictions), "-l", str(references)]) == 2
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
