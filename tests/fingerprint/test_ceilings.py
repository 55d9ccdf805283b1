import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mednca_pipeline.fingerprint import ceilings
from mednca_pipeline.fingerprint.ceilings import coarser_spacings, label_ceilings
from mednca_pipeline.runtime.labels import Labels

from ..way_to_the_grid import dice_of_grid, grid_plan

ONE = Labels(("a",), ((1,),))
TWO = Labels(("a", "b"), ((1,), (2,)))
REGIONS = Labels(("whole", "core"), ((1, 2), (2,)), region_order=(1, 2))


def blobs(shape, seed=0):
    """Two classes of ragged blobs that touch each other and the image's edge."""
    smooth = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2.5, mode="nearest")
    return np.digitize(smooth / smooth.std(), (0.4, 1.1)).astype(np.uint8)


def independent(labels, spacing, definition, axes, candidate):
    """The Dice at one spacing, of the configuration that resamples `axes`."""
    target = [
        max(own, candidate) if name in axes else own for own, name in zip(spacing, "zyx"[-len(spacing) :], strict=True)
    ]
    if labels.ndim == 2:
        return dice_of_grid(labels, spacing, definition, grid_plan((), (None, *target)))
    order = sorted(range(3), key=lambda axis: "zyx"[axis] in axes)
    ordered = [target[axis] if "zyx"[axis] in axes else None for axis in order]
    return dice_of_grid(labels, spacing, definition, grid_plan(order, ordered))


def test_the_ladder_has_four_spacings_per_doubling_and_is_the_same_for_all():
    assert coarser_spacings(1.0)[:5] == (1.189, 1.414, 1.682, 2.0, 2.378)
    assert coarser_spacings(1.1)[:2] == (1.189, 1.414)
    assert coarser_spacings(0.5)[:2] == (0.5946, 0.7071)
    assert coarser_spacings(1.0)[-1] == 16.0


@pytest.mark.parametrize(
    ("shape", "spacing", "definition"),
    [
        ((61, 47), (1.0, 1.0), TWO),
        ((61, 47), (0.7, 1.3), REGIONS),
        ((14, 33, 29), (1.0, 1.0, 1.0), TWO),
        ((9, 40, 31), (5.0, 0.8, 0.9), TWO),  # nearest along the slices
        ((14, 33, 29), (1.0, 1.1, 1.0), REGIONS),
    ],
)
def test_ceilings_are_the_dice_of_preprocessing_and_prediction(shape, spacing, definition, monkeypatch):
    monkeypatch.setattr(ceilings, "LOWEST_DICE", 0.5)
    labels = blobs(shape)
    measured = label_ceilings(labels, spacing, definition)
    assert set(measured) == ({"yx"} if len(shape) == 2 else {"yx", "zx", "zy", "zyx"})
    for axes, found in measured.items():
        assert len(found.spacing_mm) >= 3
        for index, candidate in enumerate(found.spacing_mm):
            expected = independent(labels, spacing, definition, axes, candidate)
            assert {name: dice[index] for name, dice in found.dice.items()} == pytest.approx(expected, abs=6e-5)


def test_a_small_structure_is_compared_in_its_box_with_all_that_the_way_back_adds():
    labels = np.zeros((200, 200), np.uint8)
    labels[57:61, 100:104] = 1
    found = label_ceilings(labels, (1.0, 1.0), ONE)["yx"]
    for index, candidate in enumerate(found.spacing_mm):
        expected = independent(labels, (1.0, 1.0), ONE, "yx", candidate)["a"]
        assert found.dice["a"][index] == pytest.approx(expected, abs=6e-5)


def test_measuring_ends_where_each_class_is_lost():
    found = label_ceilings(blobs((61, 47)), (1.0, 1.0), TWO)["yx"]
    steps = range(1, 1 + len(found.spacing_mm))
    ended = [all(min(values[:step]) < 0.9 for values in found.dice.values()) for step in steps]
    assert ended[-1] and not any(ended[:-1])


def test_a_class_is_measured_on_where_a_smaller_one_is_lost():
    labels = np.zeros((80, 80), np.uint8)
    labels[10:60, 10:60] = 1
    labels[70:73, 70:73] = 2
    found = label_ceilings(labels, (1.0, 1.0), TWO)["yx"]
    small, large = found.dice["b"], found.dice["a"]
    lost = next(index for index, value in enumerate(small) if value < 0.9)
    assert len(large) > lost + 2 and large[lost + 1] > 0.95


def test_an_absent_class_is_not_measured_and_neither_are_empty_labels():
    labels = np.zeros((40, 40), np.uint8)
    assert label_ceilings(labels, (1.0, 1.0), TWO) == {}
    labels[10:30, 10:30] = 2
    assert set(label_ceilings(labels, (1.0, 1.0), TWO)["yx"].dice) == {"b"}


def test_a_coarse_axis_is_left_alone_up_to_its_own_spacing():
    labels = np.zeros((8, 64, 64), np.uint8)
    labels[::2, 16:48, 16:48] = 1  # would be lost along z
    found = label_ceilings(labels, (4.0, 1.0, 1.0), ONE)["zyx"]
    assert found.spacing_mm[0] == 1.189
    assert min(found.dice["a"][: found.spacing_mm.index(4.0) + 1]) > 0.9
    assert found.spacing_mm[-1] == 4.757 and found.dice["a"][-1] < 0.9


def test_ignored_voxels_do_not_count_and_hide_nothing_beside_them():
    definition = Labels(("whole", "core"), ((1, 2), (2,)), region_order=(1, 2), ignore=3)
    labels = np.zeros((64, 64), np.uint8)
    labels[16:48, 16:48] = 1
    labels[:, 32:] = 3  # half of the square was not labelled
    alone = labels.copy()
    alone[16:48, 32:48], alone[:16, 32:], alone[48:, 32:], alone[:, 48:] = 1, 0, 0, 0
    with_ignore = label_ceilings(labels, (1.0, 1.0), definition)["yx"].dice["whole"]
    without = label_ceilings(alone, (1.0, 1.0), definition)["yx"].dice["whole"]
    assert with_ignore[:4] == pytest.approx(without[:4], abs=0.02)
    assert min(with_ignore[:4]) > 0.9


def test_large_structures_are_sampled_evenly(monkeypatch):
    z, y, x = np.ogrid[:40, :60, :60]
    labels = ((z - 20) ** 2 / 300 + (y - 30) ** 2 / 500 + (x - 30) ** 2 / 500 < 1).astype(np.uint8)
    whole = label_ceilings(labels, (1.0, 1.0, 1.0), ONE)
    monkeypatch.setattr(ceilings, "MOST_VOXELS", 30_000)
    monkeypatch.setattr(ceilings, "FEWEST_VOXELS", 30_000)
    sampled = label_ceilings(labels, (1.0, 1.0, 1.0), ONE)
    for axes in whole:
        assert sampled[axes] != whole[axes]
        assert sampled[axes].dice["a"][:5] == pytest.approx(whole[axes].dice["a"][:5], abs=0.01)
