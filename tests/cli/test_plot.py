"""The command mednca_plot."""

import shutil

import nibabel as nib
import numpy as np
import pytest

from mednca_pipeline.cli.plot import main
from mednca_pipeline.runtime.images import read_image, write_labels

from ..dicom_series import write_series
from ..evaluation.predicted import coloured_pixels


def test_command_draws_every_case_and_names_those_without_an_image(tmp_path, capsys):
    labels = np.zeros((10, 10, 4), np.uint8)
    labels[2:6, 2:6, 1] = 1
    for folder, name, array in (
        ("in", "a_0000", np.random.default_rng(0).normal(size=labels.shape).astype(np.float32)),
        ("out", "a", labels),
        ("out", "b", labels),
        ("ref", "a", labels),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(array, np.diag([1, 1, 3, 1.0])), tmp_path / folder / f"{name}.nii.gz")
    paths = [str(tmp_path / name) for name in ("in", "out", "ref", "png")]
    assert main(["-i", paths[0], "-p", paths[1], "-l", paths[2], "-o", paths[3]]) == 2
    assert coloured_pixels(tmp_path / "png" / "a.png") > 200
    assert not (tmp_path / "png" / "b.png").exists()
    assert f"failed: b: {tmp_path / 'in'}: expected an image b or b_0000, found a." in capsys.readouterr().err


def test_labels_without_an_orientation_are_drawn_where_they_lie_and_mirrored_ones_are_refused(tmp_path, capsys):
    image, labels = (
        np.random.default_rng(0).normal(size=(10, 10, 4)).astype(np.float32),
        np.zeros((10, 10, 4), np.uint8),
    )
    labels[1:4, 2:6, 1] = 1
    plain = nib.Nifti1Image(labels, None)
    plain.header.set_zooms((1, 1, 3))
    for folder, file in (
        ("in", nib.Nifti1Image(image, np.diag([1, 1, 3, 1.0]))),
        ("out", nib.Nifti1Image(labels, np.diag([1, 1, 3, 1.0]))),
        ("plain", plain),
        ("mirrored", nib.Nifti1Image(labels, np.diag([-1, 1, 3, 1.0]))),
    ):
        (tmp_path / folder).mkdir()
        nib.save(file, tmp_path / folder / "a.nii.gz")
    pictures = {}
    for folder, code in (("out", 0), ("plain", 0), ("mirrored", 2)):
        arguments = ["-i", tmp_path / "in", "-p", tmp_path / folder, "-o", tmp_path / f"{folder}_png", "--quiet"]
        assert main([str(argument) for argument in arguments]) == code
        picture = tmp_path / f"{folder}_png" / "a.png"
        pictures[folder] = picture.read_bytes() if picture.exists() else None
    assert pictures["plain"] == pictures["out"] and pictures["mirrored"] is None
    assert "origin" in capsys.readouterr().err


def volume(file, seed=0):
    file.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).normal(size=(10, 10, 4)).astype(np.float32)
    nib.save(nib.Nifti1Image(array, np.diag([1, 1, 3, 1.0])), file)


def prediction(file):
    labels = np.zeros((10, 10, 4), np.uint8)
    labels[2:6, 2:6, 1] = 1
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(labels, np.diag([1, 1, 3, 1.0])), file)


def plot(tmp_path, images, predictions="out"):
    shutil.rmtree(tmp_path / "png", ignore_errors=True)
    code = main(
        ["-i", str(tmp_path / images), "-p", str(tmp_path / predictions), "-o", str(tmp_path / "png"), "--quiet"]
    )
    return code, sorted(file.name for file in (tmp_path / "png").glob("*.png"))


def test_it_takes_what_prediction_took(tmp_path):
    """One file, channels as suffixes, numbers as names, and DICOM series in subfolders."""
    for name in ("a_0000", "b_0000", "c_0000", "c_0001"):
        volume(tmp_path / "in" / f"{name}.nii.gz")
    for name in ("a", "b", "c"):
        prediction(tmp_path / "out" / f"{name}.nii.gz")
    assert plot(tmp_path, "in") == (0, ["a.png", "b.png", "c.png"])
    assert plot(tmp_path, "in/b_0000.nii.gz") == (0, ["b.png"])
    assert plot(tmp_path, "in/b_0000.nii.gz", "out/a.nii.gz") == (0, ["a.png"])  # named together
    for number in range(2):
        volume(tmp_path / "numbered" / f"scan_000{number}.nii.gz")
        prediction(tmp_path / "of_numbered" / f"scan_000{number}.nii.gz")
    assert plot(tmp_path, "numbered", "of_numbered") == (0, ["scan_0000.png", "scan_0001.png"])
    series = tmp_path / "dicom" / "patient1"
    write_series(series)
    image = read_image(series)
    write_labels(tmp_path / "of_dicom" / "patient1.nii.gz", (image.array[0] > 0).astype(int), image.geometry)
    assert plot(tmp_path, "dicom", "of_dicom") == (0, ["patient1.png"])


def test_an_image_without_a_prediction_is_named(tmp_path, capsys):
    volume(tmp_path / "in" / "z_0000.nii.gz")
    prediction(tmp_path / "out" / "a.nii.gz")
    assert plot(tmp_path, "in/z_0000.nii.gz")[0] == 2
    assert "expected a prediction of z_0000.nii.gz, named z" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["in", "out"])
def test_pictures_do_not_go_among_images_or_predictions(tmp_path, folder, capsys):
    volume(tmp_path / "in" / "a_0000.nii.gz")
    prediction(tmp_path / "out" / "a.nii.gz")
    before = sorted(tmp_path.rglob("*"))
    arguments = ["-i", tmp_path / "in", "-p", tmp_path / "out", "-o", tmp_path / folder]
    assert main([str(argument) for argument in arguments]) == 2
    assert "expected another folder than" in capsys.readouterr().err and sorted(tmp_path.rglob("*")) == before
