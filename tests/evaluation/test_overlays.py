"""Pictures: which slice is shown, and that the labels are on it."""

import numpy as np
import pytest

from mednca_pipeline.evaluation.overlays import overlay_figure, slices_with_most_foreground

from .predicted import coloured_pixels


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


def test_colour_images_stay_in_colour(tmp_path):
    image = np.zeros((3, 16, 16))
    image[0, 4:12, 4:12] = 255
    overlay_figure(image, {"prediction": np.zeros((16, 16), int)}, tmp_path / "rgb.png")
    assert coloured_pixels(tmp_path / "rgb.png") > 1000


@pytest.mark.parametrize(("spacing", "axis"), [((1, 1, 1), 0), ((1, 3, 1), 1), ((0.9999, 1, 1), 0)])
def test_slices_lie_across_the_coarsest_axis_and_are_axial_for_equals(tmp_path, spacing, axis):
    """A labelled plane fills the picture where slices lie along it, and is a line in all others."""
    coloured = []
    for across in range(3):
        labels = np.zeros((12, 12, 12), int)
        labels[(slice(None),) * across + (5,)] = 1
        overlay_figure(np.zeros((1, 12, 12, 12)), {"plane": labels}, tmp_path / f"{across}.png", spacing)
        coloured.append(coloured_pixels(tmp_path / f"{across}.png"))
    assert coloured.index(max(coloured)) == axis and max(coloured) > 3 * sorted(coloured)[1]
