"""Pictures: which slice is shown, and that the labels are on it."""

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from mednca_pipeline.cli.plot import main
from mednca_pipeline.evaluation.overlays import overlay_figure, slices_with_most_foreground


def coloured_pixels(file):
    pixels = np.asarray(Image.open(file).convert("RGB")).astype(int)
    return int((np.ptp(pixels, axis=-1) > 30).sum())


def test_slices_with_most_foreground_are_taken_in_order():
    labels = np.zeros((5, 4, 4), int)
    labels[1, :2], labels[3, :3], labels[4, :1] = 1, 1, 1
    assert slices_with_most_foreground([labels], 0, 1) == [3]
    assert slices_with_most_foreground([labels], 0, 2) == [1, 3]
    assert slices_with_most_foreground([labels], 0, 9) == [1, 3, 4]  # no empty ones
    assert slices_with_most_foreground([np.zeros((5, 4, 4), int)], 0, 1) == [2]


def test_overlay_is_in_colour_only_where_there_are_labels(tmp_path):
    image, labels = np.random.default_rng(0).normal(size=(1, 6, 20, 20)), np.zeros((6, 20, 20), int)
    overlay_figure(image, {"none": labels}, tmp_path / "empty.png", (1, 1, 1))
    labels[4, 5:15, 5:15] = 1
    overlay_figure(image, {"prediction": labels, "truth": labels}, tmp_path / "full.png", (1, 1, 1), slices=2)
    assert coloured_pixels(tmp_path / "empty.png") == 0
    assert coloured_pixels(tmp_path / "full.png") > 1000


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


def test_colour_images_stay_in_colour(tmp_path):
    image = np.zeros((3, 16, 16))
    image[0, 4:12, 4:12] = 255
    overlay_figure(image, {"prediction": np.zeros((16, 16), int)}, tmp_path / "rgb.png")
    assert coloured_pixels(tmp_path / "rgb.png") > 1000


@pytest.mark.parametrize("spacing, expected", [((1, 1, 1), 0), ((1, 3, 1), 1), ((0.9999, 1, 1), 0)])
def test_cut_is_across_the_coarsest_axis_and_axial_for_equals(spacing, expected):
    from mednca_pipeline.evaluation.overlays import _cut

    assert _cut(spacing) == expected
