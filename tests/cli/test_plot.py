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
