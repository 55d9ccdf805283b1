"""Pictures: which slice is shown, that the labels are on it, and what is written beside them."""

import dataclasses

import numpy as np
import pytest

from mednca_pipeline.evaluation.colours import class_colours, colour_of
from mednca_pipeline.evaluation.overlays import (
    Picture,
    legend_of,
    read_picture,
    slice_name,
    slices_with_most_foreground,
    write_picture,
)
from mednca_pipeline.runtime.geometry import geometry_from_affine, plain_geometry
from mednca_pipeline.runtime.labels import Labels

from .predicted import block, coloured_pixels, pixels_of, write

ORGANS = Labels(("liver", "spleen"), ((1,), (2,)))


def test_slices_with_most_foreground_are_taken_in_order():
    labels = np.zeros((5, 4, 4), int)
    labels[1, :2], labels[3, :3], labels[4, :1] = 1, 1, 1
    assert slices_with_most_foreground([labels], 0, 1) == [3]
    assert slices_with_most_foreground([labels], 0, 2) == [1, 3]
    assert slices_with_most_foreground([labels], 0, 9) == [1, 3, 4]  # no empty ones
    assert slices_with_most_foreground([np.zeros((5, 4, 4), int)], 0, 1) == [2]


def test_overlay_is_in_colour_only_where_there_are_labels(tmp_path):
    image, labels = np.random.default_rng(0).normal(size=(1, 6, 20, 20)), np.zeros((6, 20, 20), int)
    write_picture(Picture("a", image, {"none": labels}), tmp_path / "empty.png")
    labels[4, 5:15, 5:15] = 1
    write_picture(Picture("a", image, {"prediction": labels, "truth": labels}, slices=2), tmp_path / "full.png")
    assert coloured_pixels(tmp_path / "empty.png") == 0
    assert coloured_pixels(tmp_path / "full.png") > 1000


def test_colour_images_stay_in_colour(tmp_path):
    image = np.zeros((3, 16, 16))
    image[0, 4:12, 4:12] = 255
    write_picture(Picture("a", image, {"prediction": np.zeros((16, 16), int)}), tmp_path / "rgb.png")
    assert coloured_pixels(tmp_path / "rgb.png") > 1000


@pytest.mark.parametrize(("spacing", "axis"), [((1, 1, 1), 0), ((1, 3, 1), 1), ((0.9999, 1, 1), 0)])
def test_slices_lie_across_the_coarsest_axis_and_are_axial_for_equals(tmp_path, spacing, axis):
    """A labelled plane fills the picture where slices lie along it, and is a line in all others."""
    coloured = []
    for across in range(3):
        labels = np.zeros((12, 12, 12), int)
        labels[(slice(None),) * across + (5,)] = 1
        picture = Picture("a", np.zeros((1, 12, 12, 12)), {"plane": labels}, plain_geometry((12, 12, 12), spacing))
        write_picture(picture, tmp_path / f"{across}.png")
        coloured.append(coloured_pixels(tmp_path / f"{across}.png"))
    assert coloured.index(max(coloured)) == axis and max(coloured) > 3 * sorted(coloured)[1]


def test_slices_lie_across_the_axis_that_the_plan_chose(tmp_path):
    labels = np.zeros((12, 12, 12), int)
    labels[:, 5] = 1
    coloured = []
    for across in range(3):
        write_picture(Picture("a", np.zeros((1, 12, 12, 12)), {"plane": labels}, across=across), tmp_path / "a.png")
        coloured.append(coloured_pixels(tmp_path / "a.png"))
    assert coloured[1] == max(coloured) > 3 * sorted(coloured)[1]


def test_a_slice_has_the_number_that_a_viewer_of_the_file_shows():
    """LPS +z is the file's k: from RAS files axis k keeps its sense; j of a RAS file runs against LPS's y."""
    ras = geometry_from_affine((10, 20, 30), np.diag([-1.0, -1.0, 1.0, 1.0]))
    assert slice_name(ras, 0, 4, 30) == "slice k = 4 (0 to 29)"
    assert slice_name(ras, 1, 4, 20) == "slice j = 15 (0 to 19)"
    feet_first = geometry_from_affine((10, 20, 30), np.diag([1.0, 1.0, -1.0, 1.0]))
    assert slice_name(feet_first, 0, 4, 30) == "slice k = 25 (0 to 29)"
    coronal = geometry_from_affine((10, 30, 20), np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]]))
    assert slice_name(coronal, 0, 4, 30) == "slice j = 4 (0 to 29)"  # the file's second axis is z
    assert slice_name(None, 0, 4, 30) == "slice 4 (0 to 29)"


def test_the_legend_names_classes_with_their_dice():
    picture = Picture("a", np.zeros((1, 4, 4)), {}, classes={1: "liver", 2: "spleen"}, dice={"liver": 0.5})
    assert legend_of(picture, [2, 7]) == {1: "liver: Dice 0.500", 2: "spleen", 7: "label 7"}
    absent = dataclasses.replace(picture, dice={"spleen": float("nan")})
    assert legend_of(absent, []) == {2: "spleen"}


def test_a_class_has_its_colour_whichever_others_are_shown(tmp_path):
    """Colours once followed the classes that were present: spleen alone had liver's."""
    spleen = np.zeros((16, 16), int)
    spleen[4:12, 4:12] = 2
    both = spleen.copy()
    both[0:3] = 1
    expected = np.rint(np.array(class_colours(ORGANS)["spleen"]) * 255)
    for name, labels in (("alone", spleen), ("both", both)):
        write_picture(Picture("a", np.zeros((1, 16, 16)), {"prediction": labels}), tmp_path / f"{name}.png")
        pixels = pixels_of(tmp_path / f"{name}.png").reshape(-1, 3)
        assert (np.abs(pixels - expected).max(axis=1) <= 2).sum() > 20
    regions = Labels(("whole", "core"), ((1, 2), (2,)), region_order=(1, 2))
    assert class_colours(regions) == {"whole": colour_of(1), "core": colour_of(2)}
    assert len({colour_of(value) for value in range(1, 41)}) == 40


def test_a_picture_is_read_with_the_dice_of_its_files(tmp_path):
    """Two blocks of 4x4x4 voxels, half of which overlap."""
    write(tmp_path / "pred.nii.gz", block(5))
    write(tmp_path / "true.nii.gz", block(3))
    files = {"prediction": tmp_path / "pred.nii.gz", "reference": tmp_path / "true.nii.gz"}
    picture = read_picture("a", (), files, None)
    assert picture.dice == {"label 1": 0.5} and picture.image.shape == (1, 12, 12, 12)
    assert read_picture("a", (), files, ORGANS).dice["liver"] == 0.5
    assert picture.spacing_mm == (2.0, 1.0, 1.0)
