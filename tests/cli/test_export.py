"""mednca_export: a model's way to another machine."""

import csv
import filecmp
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mednca_pipeline.cli.export import main as export
from mednca_pipeline.cli.info import main as info
from mednca_pipeline.cli.install import main as install
from mednca_pipeline.cli.predict import main as predict

from .exports import exported

ROOT = Path(__file__).parents[2]


def test_a_model_goes_to_another_machine(place, capsys):
    """From its folder, from the bundle and as installed: the same labels, scores, flags and records."""
    source = ["-i", str(place / "in"), "--quiet"]
    out = exported(place)
    assert "Written:" in (said := capsys.readouterr().out) and "no licence" in said
    assert predict([*source, "-o", str(place / "a"), "--root", str(place / "workspace")]) == 0
    assert predict([*source, "-o", str(place / "b"), "-m", str(out)]) == 0
    assert install([str(out), "--name", "blobs"]) == 0
    assert "mednca_predict -m blobs" in capsys.readouterr().out
    assert predict([*source, "-o", str(place / "c"), "-m", "blobs"]) == 0
    for other in ("b", "c"):
        assert filecmp.cmp(place / "a" / "scan.nii.gz", place / other / "scan.nii.gz", shallow=False)
        assert filecmp.cmp(place / "a" / "made_from.json", place / other / "made_from.json", shallow=False)
        rows = [list(csv.DictReader((place / name / "quality.csv").open())) for name in ("a", other)]
        assert [{**row, "seconds": ""} for row in rows[0]] == [{**row, "seconds": ""} for row in rows[1]]
    before = (place / "a" / "scan.nii.gz").stat().st_mtime_ns
    assert predict([*source, "-o", str(place / "a"), "-m", "blobs"]) == 0
    assert (place / "a" / "scan.nii.gz").stat().st_mtime_ns == before  # made from the same: kept


def test_onnx_and_its_description(place, capsys):
    out = place / "tiny.onnx"
    options = ["--root", str(place / "workspace"), "-o", str(out), "--format", "onnx"]
    assert export(options) == 0
    assert out.is_file() and json.loads((place / "tiny.json").read_text())["dataset"] == "Dataset004_Tiny"
    first = out.read_bytes()
    assert export([*options, "--folds", "1"]) == 0 and out.read_bytes() != first
    assert export([*options, "--dtype", "float16"]) == 2
    (place / "tiny.json").write_text("{}")
    assert export(options) == 2
    assert "expected new files, or a graph with its description" in " ".join(capsys.readouterr().err.split())
    assert (place / "tiny.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "a.zip"], "expected a file name that ends in .mednca"),
        (["-o", "a.mednca", "--folds", "7"], "expected final weights of fold 7"),
        (["-o", "a.mednca", "-m", "unet"], "expected a trained unet"),
        (["-o", "a.mednca", "-m", "nothing"], "expected one of mednca"),
        (["-o", "a.mednca", "-m", "../tiny.mednca"], "expected a model's folder, found a bundle"),
    ],
)
def test_what_cannot_be_exported_is_refused(place, capsys, options, message):
    exported(place)
    assert export(["--root", str(place / "workspace"), *options]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert list(Path.cwd().iterdir()) == []


def test_a_bundle_that_is_damaged_writes_nothing(place, capsys):
    out = exported(place)
    out.write_bytes(out.read_bytes().replace(b"plans.json", b"plans.jsoN"))
    for command in (
        lambda: predict(["-i", str(place / "in"), "-o", str(place / "out"), "-m", str(out)]),
        lambda: install([str(out)]),
        lambda: info([str(out)]),
    ):
        assert command() == 2
        assert "tiny.mednca" in (said := capsys.readouterr().err) and "Traceback" not in said
    assert not (place / "out").exists() and not (place / "models").exists()


def test_predicting_with_a_bundle_imports_neither_torch_nor_onnx(place):
    out = exported(place)
    script = (
        "import sys; from mednca_pipeline.cli.predict import main; "
        f"code = main(['-i', {str(place / 'in')!r}, '-o', {str(place / 'out')!r}, '-m', {str(out)!r}]); "
        "found = {'torch', 'onnx', 'pandas'} & set(sys.modules); sys.exit(code or len(found))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
