"""The command mednca_plot."""

import nibabel as nib
import numpy as np

from mednca_pipeline.cli.plot import main

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
    assert f"failed: b: {tmp_path / 'in'}: expected an image b or b_0000, found none." in capsys.readouterr().err


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
