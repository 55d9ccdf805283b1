"""mednca_predict on files: geometry, order, skipping, bad files, channels, maps, the table and the report."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import label

from mednca_pipeline.cli.predict import main
from mednca_pipeline.evaluation.metrics import Units
from mednca_pipeline.evaluation.summary import make_summary
from mednca_pipeline.inference.calibration import calibrate
from mednca_pipeline.inference.cases import predict_cases
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.results.model_folder import ModelFolder
from mednca_pipeline.results.summary import CaseResult
from mednca_pipeline.runtime.images import read_image

from ..inference.tiny_model import SHAPE, SPACING, make_image, make_plans, save_model, write_image
from .predicting import predict, rows, voxels


def test_result_of_a_case_depends_on_no_other_case_and_on_no_worker(workspace, tmp_path):
    for index, name in enumerate("abc"):
        write_image(tmp_path / "in" / f"{name}.nii.gz", make_image(index))
    assert predict(workspace, tmp_path / "in", tmp_path / "all") == 0
    assert predict(workspace, tmp_path / "in" / "c.nii.gz", tmp_path / "one") == 0
    assert predict(workspace, tmp_path / "in", tmp_path / "workers", "-np", "1") == 0
    for other in ("one", "workers"):
        np.testing.assert_array_equal(voxels(tmp_path / "all" / "c.nii.gz"), voxels(tmp_path / other / "c.nii.gz"))
        scores = [float(rows(tmp_path / out)["c.nii.gz"]["quality_foreground"]) for out in ("all", other)]
        assert scores[0] == pytest.approx(scores[1], abs=2e-4)


def test_finished_outputs_are_kept_and_their_rows_too(workspace, tmp_path, capsys):
    write_image(tmp_path / "in" / "a.nii.gz", make_image())
    predict(workspace, tmp_path / "in", tmp_path / "out")
    made, row = (tmp_path / "out" / "a.nii.gz").stat().st_mtime_ns, rows(tmp_path / "out")["a.nii.gz"]
    write_image(tmp_path / "in" / "b.nii.gz", make_image(1))
    assert predict(workspace, tmp_path / "in", tmp_path / "out") == 0
    assert (tmp_path / "out" / "a.nii.gz").stat().st_mtime_ns == made
    assert rows(tmp_path / "out")["a.nii.gz"] == row and "b.nii.gz" in rows(tmp_path / "out")
    assert "1 predicted, 1 kept" in capsys.readouterr().out
    (tmp_path / "out" / "b.nii.gz").unlink()
    predict(workspace, tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out" / "b.nii.gz").is_file()
    predict(workspace, tmp_path / "in", tmp_path / "out", "--overwrite")
    assert (tmp_path / "out" / "a.nii.gz").stat().st_mtime_ns != made


def test_one_bad_file_does_not_stop_the_others(workspace, tmp_path, capsys):
    for name in "abc":
        write_image(tmp_path / "in" / f"{name}.nii.gz", make_image())
    whole = (tmp_path / "in" / "b.nii.gz").read_bytes()
    (tmp_path / "in" / "b.nii.gz").write_bytes(whole[: len(whole) // 2])
    assert predict(workspace, tmp_path / "in", tmp_path / "out") == 2
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"a.nii.gz", "c.nii.gz", "quality.csv", "made_from.json"}
    assert rows(tmp_path / "out")["b.nii.gz"]["flag"] == "failed"
    assert "failed: b:" in capsys.readouterr().err
    (tmp_path / "in" / "b.nii.gz").write_bytes(whole)
    assert predict(workspace, tmp_path / "in", tmp_path / "out") == 0
    assert rows(tmp_path / "out")["b.nii.gz"]["flag"] != "failed"


def test_a_fault_of_the_disk_is_not_ours_and_does_not_stop_the_others(workspace, tmp_path, capsys):
    for name in ("a", "b"):
        write_image(tmp_path / "in" / f"{name}_0000.nii.gz", make_image())
    (tmp_path / "out" / "a.nii.gz").mkdir(parents=True)
    assert predict(workspace, tmp_path / "in", tmp_path / "out", "--overwrite") == 2
    said = capsys.readouterr().err
    assert "a folder where a file must be" in said and "fault of ours" not in said
    assert (tmp_path / "out" / "b.nii.gz").is_file()
    assert "failed: a:" in said and "a.nii.gz" not in rows(tmp_path / "out")  # a row says that a file is ours


def test_channels(tmp_path, capsys):
    save_model(tmp_path, make_plans(channels=2), folds=(0,))
    for name, channels in (("both", 2), ("one", 1)):
        for channel in range(channels):
            write_image(tmp_path / "in" / f"{name}_{channel:04d}.nii.gz", make_image(channel))
    assert predict(tmp_path, tmp_path / "in", tmp_path / "out") == 2
    assert (tmp_path / "out" / "both.nii.gz").is_file() and not (tmp_path / "out" / "one.nii.gz").exists()
    assert "one" in capsys.readouterr().err
    assert predict(tmp_path, tmp_path / "in" / "both_0001.nii.gz", tmp_path / "single") == 0
    np.testing.assert_array_equal(voxels(tmp_path / "out/both.nii.gz"), voxels(tmp_path / "single/both.nii.gz"))


def test_maps_are_those_of_the_predictor(workspace, tmp_path):
    source = write_image(tmp_path / "in" / "a.nii.gz", make_image())
    predict(workspace, source, tmp_path / "out", "--save_probabilities", "--save_variance", "--runs", "4")
    image = read_image(source)
    folder = workspace / "results" / "Dataset004_Tiny" / "mednca_2d"
    prediction = Predictor.from_folder(folder, options=PredictionOptions(runs=4)).predict(
        image.array, image.spacing_mm, with_variance=True
    )
    for index, name in enumerate(("background", "anterior", "posterior")):
        written = read_image(tmp_path / "out" / f"a_probabilities_{name}.nii.gz")
        np.testing.assert_allclose(written.array[0], prediction.probabilities[index], atol=1e-5)
        assert written.spacing_mm == pytest.approx(SPACING)
    np.testing.assert_allclose(read_image(tmp_path / "out/a_variance.nii.gz").array[0], prediction.variance, atol=1e-5)
    assert prediction.variance.max() > 1e-4


def test_table_has_volumes_and_warns_of_what_training_never_saw(workspace, tmp_path):
    write_image(tmp_path / "in" / "usual.nii.gz", make_image())
    write_image(tmp_path / "in" / "odd.nii.gz", make_image() + 5000, spacing=(2.0, 1.0, 3.0))
    predict(workspace, tmp_path / "in", tmp_path / "out")
    usual, odd = rows(tmp_path / "out")["usual.nii.gz"], rows(tmp_path / "out")["odd.nii.gz"]
    expected = (voxels(tmp_path / "out" / "usual.nii.gz") == 1).sum() * 3.0  # voxels of 2 x 1 x 1.5 mm
    assert float(usual["mm3_anterior"]) == pytest.approx(expected)
    assert usual["warnings"] == ""
    for text in ("spacing x 3 mm", "extent x 33 mm", "mean intensity of channel0"):
        assert text in odd["warnings"]
    assert "spacing z" not in odd["warnings"]


def test_removed_components_are_in_the_table(tmp_path):
    save_model(tmp_path, replace(make_plans(), components={"anterior": 1}), folds=(0, 1))
    source = write_image(tmp_path / "in" / "a.nii.gz", make_image())
    assert predict(tmp_path, source, tmp_path / "raw", "--no-postprocess") == 0
    assert predict(tmp_path, source, tmp_path / "out") == 0
    before, after = ((voxels(tmp_path / out / "a.nii.gz") == 1) for out in ("raw", "out"))
    islands, lost = label(before, np.ones((3, 3, 3)))[1] - 1, 1 - after.sum() / before.sum()
    assert islands > 1 and lost > 0.2
    row, raw = rows(tmp_path / "out")["a.nii.gz"], rows(tmp_path / "raw")["a.nii.gz"]
    told = f"{islands} islands of anterior removed, {100 * lost:.1f} % of its volume: a large part, look at the case"
    assert row["warnings"] == told and "keeping 1 component of anterior" in row["made_with"]
    assert raw["warnings"] == "" and float(row["mm3_anterior"]) == pytest.approx(after.sum() * 3.0)


def test_empty_prediction_is_flagged(tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    folder = save_model(tmp_path, make_plans(), folds=(0,))
    weights = folder / "fold_0" / "final.safetensors"
    save_file({name: torch.zeros_like(value) for name, value in load_file(weights).items()}, weights)
    write_image(tmp_path / "in" / "a.nii.gz", make_image())
    predict(tmp_path, tmp_path / "in", tmp_path / "out")
    assert rows(tmp_path / "out")["a.nii.gz"]["flag"] == "empty"


@pytest.mark.parametrize(("dice", "flag"), [(0.2, "unproven"), (0.9, "ok")])
def test_console_and_table_say_what_the_model_is_worth(tmp_path, capsys, dice, flag):
    """By its folds' summaries. The threshold is above every score."""
    folder = ModelFolder(save_model(tmp_path, make_plans(), folds=(0,)))
    row = {"dice": dice, "hd95": 1.0, "nsd": 1.0, "volume_predicted": 1.0, "volume_reference": 1.0}
    cases = {name: CaseResult({"foreground": row}, 1.0, {"score": {"foreground": 9.0}}) for name in "xyz"}
    folder.fold(0).write_summary(make_summary(cases, Units()))
    calibrate(folder)
    for name in "ab":
        write_image(tmp_path / "in" / f"{name}.nii.gz", make_image())
    assert predict(tmp_path, tmp_path / "in", tmp_path / "out") == 0
    found = rows(tmp_path / "out").values()
    assert [(row["flag"], row["validation_dice"]) for row in found] == [(flag, f"{dice:.4f}")] * 2
    assert all(row["reason"] for row in found)
    said = " ".join(capsys.readouterr().out.split())
    assert f"Flags: 2 {flag}." in said and f"Dice in validation: {dice:.3f} (3 cases)" in said


def test_report_and_fast(workspace, tmp_path):
    source = write_image(tmp_path / "in" / "a_0000.nii.gz", make_image())
    arguments = ["--root", str(workspace), "-i", str(source), "-o", str(tmp_path / "out"), "--fast"]
    assert main([*arguments, "--report", str(tmp_path / "run.json")]) == 0
    report = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert report["outputs"]["written"] == ["a.nii.gz"]
    assert report["model"]["runs_per_fold"] == 0 and report["model"]["made_with"].endswith("fold 0")
    assert report["device"] and report["runtime_s"] > 0 and report["versions"]["torch"]
    assert "--fast" in report["command"]
    assert rows(tmp_path / "out")["a.nii.gz"]["flag"] == "not available"
    assert main([*arguments, "--runs", "3"]) == 2
    assert main([*arguments, "--save_variance"]) == 2


def test_refuses_to_write_over_its_inputs(workspace, tmp_path, capsys):
    source = write_image(tmp_path / "a.nii.gz", make_image())
    before = source.read_bytes()
    assert predict(workspace, source, tmp_path) == 2
    assert predict(workspace, tmp_path, tmp_path) == 2
    assert source.read_bytes() == before
    assert "expected another folder" in capsys.readouterr().err


def test_nothing_to_predict_is_said(workspace, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    assert predict(workspace, tmp_path / "in", tmp_path / "out") == 2
    assert predict(workspace, tmp_path / "absent", tmp_path / "out") == 2
    errors = capsys.readouterr().err
    assert "found no file in it" in errors and "absent" in errors


def test_validation_cases_are_written_with_their_scores(workspace, tmp_path):
    from mednca_pipeline.datasets.dataset import Case

    source = write_image(tmp_path / "in" / "a_0000.nii.gz", make_image())
    predictor = Predictor.from_folder(workspace / "results" / "Dataset004_Tiny" / "mednca_2d", folds=[0])
    done = []
    result = predict_cases(predictor, [Case("a", (source,), None)], tmp_path / "validation", done.append)
    assert done == ["a"] and voxels(tmp_path / "validation" / "a.nii.gz").shape == SHAPE[::-1]
    assert set(result["a"].quality["score"]) == {"anterior", "posterior", "foreground"}
    assert result["a"].file == tmp_path / "validation" / "a.nii.gz" and result["a"].seconds > 0


def test_help_imports_no_torch():
    code = "import sys; import mednca_pipeline.cli.predict; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_numbered_images_without_suffixes_are_cases(workspace, tmp_path, capsys):
    for number in range(3):
        write_image(tmp_path / "in" / f"scan_000{number}.nii.gz", make_image(number))
    assert predict(workspace, tmp_path / "in", tmp_path / "out") == 0
    assert set(rows(tmp_path / "out")) == {f"scan_000{number}.nii.gz" for number in range(3)}
    assert "note: 3 images differ in their last four digits" in capsys.readouterr().out


def test_model_is_also_named_in_full_and_no_line_is_wider_than_the_terminal(workspace, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        write_image(tmp_path / "in" / f"scan_000{number}.nii.gz", make_image(number))
    (tmp_path / "in" / "bad.nii.gz").write_bytes(b"nothing")
    for name in ("mednca", "mednca_2d"):
        assert predict(workspace, "in", f"out_{name}", "--model", name) == 2
    out, err = capsys.readouterr()
    assert "3 predicted" in out and "failed: bad" in err
    assert [line for line in (*out.splitlines(), *err.splitlines()) if len(line) > 80] == []


def test_a_name_with_a_control_character_is_predicted_and_kept(workspace, tmp_path, capsys):
    write_image(tmp_path / "in" / "a\x1bb.nii.gz", make_image())
    for said in ("1 predicted", "1 kept"):
        assert predict(workspace, tmp_path / "in", tmp_path / "out") == 0
        out = capsys.readouterr().out
        assert said in out and "\x1b" not in out
    assert (tmp_path / "out" / "a\x1bb.nii.gz").is_file()


def test_rows_of_scans_that_are_no_longer_in_the_input_are_named(workspace, tmp_path, capsys):
    for name in ("a", "b"):
        write_image(tmp_path / "in" / f"{name}.nii.gz", make_image())
    assert predict(workspace, tmp_path / "in", tmp_path / "out") == 0
    assert "from before" not in capsys.readouterr().out
    (tmp_path / "in" / "b.nii.gz").unlink()
    assert predict(workspace, tmp_path / "in", tmp_path / "out") == 0
    said = "note: 1 row of quality.csv from before, of scans that are not in this input: b.nii.gz"
    assert said in capsys.readouterr().out and set(rows(tmp_path / "out")) == {"a.nii.gz", "b.nii.gz"}
